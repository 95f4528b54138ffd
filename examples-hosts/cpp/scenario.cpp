// A server that echoes and a client, with handlers on the library's thread.

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <iostream>
#include <mutex>
#include <string>

#include <nlohmann/json.hpp>

#include "wsplug.hpp"

using nlohmann::json;

/// What came and nobody has asked for yet.
class inbox {
public:
    void put(std::string what)
    {
        const std::lock_guard lock(mutex_);
        came_.push_back(std::move(what));
        changed_.notify_one();
    }
    std::string take()
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::seconds(30), [this] { return !came_.empty(); }))
            throw std::runtime_error("nothing came for 30 seconds");
        std::string what = std::move(came_.front());
        came_.pop_front();
        return what;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> came_;
};

static std::string shown(int32_t kind, std::string_view data)
{
    if (kind == WSPLUG_TEXT) return "text " + std::string(data);
    std::string digits = "binary ";
    for (const unsigned char byte : data) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", byte);
        digits += two;
    }
    return digits;
}

/// One line, whole: handlers print on another thread.
static void tell(const std::string &line) { std::cout << line + "\n" << std::flush; }

static int start(const wsplug::server &server) { return json::parse(server.start())["port"]; }

static wsplug::client connect(int port, const std::string &path, json options)
{
    options["url"] = "ws://127.0.0.1:" + std::to_string(port) + path;
    options["enableAutomaticReconnection"] = false;
    wsplug::client client(options.dump());
    client.start();
    return client;
}

int main()
{
    inbox from_server, from_client;

    tell("interface " + std::to_string(wsplug_abi_version()));
    try {
        wsplug::server refused(R"({"port":80000})");
    } catch (const wsplug::error &refusal) {
        const auto error = json::parse(refusal.what())["error"];
        tell("refused: " + error["name"].get<std::string>() + ", " + error["message"].get<std::string>());
    }

    const wsplug::server echo(R"({"port":0})");
    wsplug::handlers handlers;
    handlers.event = [&](const wsplug::happening &what) {
        if (what.server == echo.ref() && what.type == "open") {
            tell("server: open " + json::parse(what.context)["uri"].get<std::string>());
            wsplug::connection(what.client).send("welcome");
        } else if (what.type == "close" && (what.server == echo.ref() || what.server == 0)) {
            const auto context = json::parse(what.context);
            (what.server ? from_server : from_client)
                .put("close " + context["code"].dump() + " " + context["reason"].get<std::string>());
        }
    };
    handlers.message = [&](int32_t server, wsplug::connection from, int32_t kind, std::string_view data) {
        if (server == 0) {
            from_client.put(shown(kind, data));
        } else if (server == echo.ref()) {
            tell("server: " + shown(kind, data));
            from.send(kind, data);
        }
    };
    handlers.failure = [](std::exception_ptr thrown) {
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception &exception) {
            std::cerr << exception.what() << std::endl;
        }
    };
    wsplug::on(handlers);

    const auto client = connect(start(echo), "/echo?name=ann", json::object());
    tell("client: " + from_client.take());
    client.send("Grüße, 世界");
    tell("client: " + from_client.take());
    client.send(WSPLUG_BINARY, std::string_view("\x00\xff\x80\x01", 4));
    tell("client: " + from_client.take());
    client.stop(R"({"code":4000,"reason":"done"})");
    tell("server: " + from_server.take());
    tell("client: " + from_client.take());

    // A server that answers no ping looks as one whose machine is gone.
    const wsplug::server deaf(R"({"port":0,"enablePong":false})");
    const auto lonely = connect(start(deaf), "/", {{"pingInterval", 0.2}, {"pingTimeout", 0.2}});
    tell("client: " + from_client.take());

    tell(std::string("shutdown: ") + (wsplug::shutdown(5000) ? "done" : "not all has ended"));
}
