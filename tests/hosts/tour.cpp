// The rest of the C++ wrapper: what the scenario does not use. A handler that throws, moves, scopes, values, pulled events.
#include <cstdio>
#include <cstdlib>
#include <future>

#include "wsplug.hpp"

#define CHECK(condition) \
    do { \
        if (!(condition)) std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition), std::exit(1); \
    } while (0)

template <typename Call>
static int32_t status_of(Call call)
{
    try {
        call();
    } catch (const wsplug::error &error) {
        return error.status();
    }
    return WSPLUG_OK;
}

static std::string url_of(const wsplug::server &server)
{
    const std::string info = server.info();
    const auto begin = info.find("ws://");
    return info.substr(begin, info.find('"', begin) - begin);
}

int main()
{
    CHECK(wsplug::fits() && !wsplug::version().empty());
    wsplug::server first(R"({"port":0,"worker":"me","window":7})");
    wsplug::server server(std::move(first));
    CHECK(first.ref() == 0 && server.ref() < 0);
    server.start();

    int32_t gone = 0;
    {
        const wsplug::client client(R"({"name":"ann","url":")" + url_of(server) + "\"}");
        client.start();
        gone = client.ref();
        CHECK(wsplug::client::find("ann")->ref() == gone);

        int32_t accepted = 0;
        while (!accepted) {
            const auto event = wsplug::event::next(30000);
            CHECK(event && event->type() == "open");
            if (event->server() == 0) continue;
            CHECK(event->worker() == "me" && event->window() == 7 && event->context().find("\"uri\"") != std::string::npos);
            accepted = event->client().ref();
        }
        client.set_value("key", "value");
        CHECK(client.value("key") == "value" && !client.value("other"));
        server.set_value("key", "value");
        server.set_value("key", std::nullopt);
        CHECK(!server.value("key"));

        const std::string big(100000, '\x7f');
        server.send(WSPLUG_BINARY, big);
        const auto message = client.receive(30000);
        CHECK(message && message->kind == WSPLUG_BINARY && message->data == big && !client.receive(1));
        CHECK(server.clients() == "[" + std::to_string(accepted) + "]");

        // What a handler throws goes to failure, and the next message is handled.
        std::promise<std::string> thrown, second;
        wsplug::handlers handlers;
        handlers.event = [](const wsplug::happening &) {};
        handlers.message = [&](int32_t, wsplug::connection, int32_t, std::string_view data) {
            if (data == "throw") throw std::runtime_error("thrown");
            second.set_value(std::string(data));
        };
        handlers.failure = [&](std::exception_ptr failure) {
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception &exception) {
                thrown.set_value(exception.what());
            }
        };
        wsplug::on(handlers);
        client.send("throw");
        client.send("next");
        CHECK(thrown.get_future().get() == "thrown" && second.get_future().get() == "next");
        wsplug::on(wsplug::handlers{});
    }
    CHECK(status_of([&] { wsplug::connection(gone).send("late"); }) == WSPLUG_UNKNOWN_REF);
    CHECK(!wsplug::client::find("ann"));
    CHECK(status_of([] { wsplug::server wrong(R"({"port":"x"})"); }) == WSPLUG_INVALID_OPTIONS);
    CHECK(wsplug::shutdown(30000));
}
