// wsplug for C++17: header only. Link with the library.
//
//     wsplug::server server(R"({"port":0,"path":"/chat"})");
//     auto reply = server.start();                     // JSON text, as options are; read it with the JSON library that you have
//     client.send("hello");
//
// A command that failed throws wsplug::error. A server or client that goes out of scope is cleared.
//
// Threads: everything may be called from any thread. Handlers run on a thread of the library, one at a time, or on the network's with
// "dispatch":"inline", or inside pump() with "dispatch":"pump". No exception leaves one: it goes to handlers::failure.

#ifndef WSPLUG_HPP
#define WSPLUG_HPP

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wsplug.h"

namespace wsplug {

/// A command that failed. what() is the reply (see docs/abi.md), or the status in words where there is none.
class error : public std::runtime_error {
public:
    error(int32_t status, const std::string &reply)
        : std::runtime_error(reply.empty() ? wsplug_status_text(status) : reply), status_(status) {}
    int32_t status() const noexcept { return status_; }

private:
    int32_t status_;
};

namespace detail {

inline int32_t checked(int32_t status)
{
    if (status < 0) throw error(status, {});
    return status;
}

/// Calls a command with its reply's place; the reply, freed.
template <typename Command>
std::string reply_of(Command command)
{
    char *text = nullptr;
    const int32_t status = command(&text);
    const std::unique_ptr<char, void (*)(char *)> owner(text, [](char *owned) { wsplug_free(owned); });
    const std::string reply = text ? text : "";
    if (status < 0) throw error(status, reply);
    return reply;
}

/// Calls a function that writes a text; nothing if it wrote NULL.
template <typename Function>
std::optional<std::string> value_of(Function function)
{
    bool is_there = false;
    std::string value = reply_of([&](char **text) {
        const int32_t status = function(text);
        is_there = *text != nullptr;
        return status;
    });
    return is_there ? std::optional(std::move(value)) : std::nullopt;
}

inline const char *pointer(const std::optional<std::string> &value) { return value ? value->c_str() : nullptr; }

inline int32_t length(std::string_view data)
{
    if (data.size() > INT32_MAX) throw error(WSPLUG_TOO_LARGE, {});
    return static_cast<int32_t>(data.size());
}

} // namespace detail

/// A whole message.
struct message {
    int32_t kind; ///< WSPLUG_TEXT or WSPLUG_BINARY
    std::string data;
};

/// A connection, ours or accepted; a ref, which owns nothing.
class connection {
public:
    explicit connection(int32_t ref) noexcept : ref_(ref) {}
    int32_t ref() const noexcept { return ref_; }

    std::string send(std::string_view text) const { return send(WSPLUG_TEXT, text); }
    std::string send(int32_t kind, std::string_view data) const
    {
        return detail::reply_of(
            [&](char **reply) { return wsplug_client_send(ref_, kind, data.data(), detail::length(data), reply); });
    }
    /// With "confirm": "sent" brings it back once the system has taken the whole message.
    std::string send(int32_t kind, std::string_view data, const std::string &options) const
    {
        return detail::reply_of([&](char **reply) {
            return wsplug_client_send_with(ref_, kind, data.data(), detail::length(data), options.c_str(), reply);
        });
    }
    std::string subscribe(const std::string &topic) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_subscribe(ref_, topic.c_str(), reply); });
    }
    std::string unsubscribe(const std::string &topic) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_unsubscribe(ref_, topic.c_str(), reply); });
    }
    std::string stop(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_stop(ref_, options.c_str(), reply); });
    }
    void clear() const
    {
        detail::reply_of([&](char **reply) { return wsplug_client_clear(ref_, reply); });
    }
    /// Answers a "request".
    std::string accept(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_accept(ref_, options.c_str(), reply); });
    }
    /// Answers a "request".
    std::string reject(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_reject(ref_, options.c_str(), reply); });
    }
    std::string info() const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_info(ref_, reply); });
    }
    std::string messages(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_messages(ref_, options.c_str(), reply); });
    }
    /// The next message that no handler takes; nothing if none has come in time.
    std::optional<message> receive(int32_t timeout_ms) const
    {
        message came{0, {}};
        for (int32_t length = 0;;) {
            const auto capacity = detail::length(came.data);
            const int32_t status =
                wsplug_client_receive(ref_, timeout_ms, &came.kind, came.data.data(), capacity, &length);
            if (status == WSPLUG_TIMEOUT) return std::nullopt;
            if (status != WSPLUG_BUFFER_TOO_SMALL) detail::checked(status);
            came.data.resize(static_cast<size_t>(length));
            if (status == WSPLUG_OK) return came;
        }
    }
    void execute(const std::string &procedure, const std::string &params = "null") const
    {
        detail::reply_of([&](char **reply) {
            return wsplug_client_execute(ref_, procedure.c_str(), params.c_str(), reply);
        });
    }
    void set_value(const std::string &key, const std::optional<std::string> &value) const
    {
        detail::checked(wsplug_client_set_value(ref_, key.c_str(), detail::pointer(value)));
    }
    std::optional<std::string> value(const std::string &key) const
    {
        return detail::value_of([&](char **value) { return wsplug_client_get_value(ref_, key.c_str(), value); });
    }

protected:
    int32_t ref_;
};

/// A client of our own, cleared at the end of its scope.
class client : public connection {
public:
    explicit client(const std::string &options) : connection(0)
    {
        configuration_ =
            detail::reply_of([&](char **reply) { return wsplug_client_create(options.c_str(), &ref_, reply); });
    }
    client(client &&other) noexcept
        : connection(std::exchange(other.ref_, 0)), configuration_(std::move(other.configuration_)) {}
    client &operator=(client &&other) noexcept
    {
        std::swap(ref_, other.ref_);
        std::swap(configuration_, other.configuration_);
        return *this;
    }
    ~client()
    {
        if (ref_ != 0) wsplug_client_clear(ref_, nullptr);
    }
    std::string start(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_client_start(ref_, options.c_str(), reply); });
    }
    /// What the creation replied.
    const std::string &configuration() const noexcept { return configuration_; }

    /// The living client whose option "name" this is.
    static std::optional<connection> find(const std::string &name)
    {
        int32_t ref = 0;
        const int32_t status = wsplug_client_find(name.c_str(), &ref);
        if (status == WSPLUG_UNKNOWN_REF) return std::nullopt;
        detail::checked(status);
        return connection(ref);
    }

private:
    std::string configuration_;
};

/// A server, cleared with its connections at the end of its scope.
class server {
public:
    explicit server(const std::string &options)
    {
        configuration_ =
            detail::reply_of([&](char **reply) { return wsplug_server_create(options.c_str(), &ref_, reply); });
    }
    server(server &&other) noexcept
        : ref_(std::exchange(other.ref_, 0)), configuration_(std::move(other.configuration_)) {}
    server &operator=(server &&other) noexcept
    {
        std::swap(ref_, other.ref_);
        std::swap(configuration_, other.configuration_);
        return *this;
    }
    ~server()
    {
        if (ref_ != 0) wsplug_server_clear(ref_, nullptr);
    }
    int32_t ref() const noexcept { return ref_; }
    /// What the creation replied.
    const std::string &configuration() const noexcept { return configuration_; }

    std::string start(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_server_start(ref_, options.c_str(), reply); });
    }
    std::string stop(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_server_stop(ref_, options.c_str(), reply); });
    }
    /// To everyone, or to those in {"clients":[…]}; the reply has a status for each.
    std::string send(int32_t kind, std::string_view data, const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) {
            return wsplug_server_send(ref_, kind, data.data(), detail::length(data), options.c_str(), reply);
        });
    }
    std::string publish(const std::string &topic, int32_t kind, std::string_view data,
                        const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) {
            return wsplug_server_publish(ref_, topic.c_str(), kind, data.data(), detail::length(data),
                                         options.c_str(), reply);
        });
    }
    std::string clients() const
    {
        return detail::reply_of([&](char **reply) { return wsplug_server_clients(ref_, reply); });
    }
    std::string set(const std::string &options) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_server_set(ref_, options.c_str(), reply); });
    }
    std::string info() const
    {
        return detail::reply_of([&](char **reply) { return wsplug_server_info(ref_, reply); });
    }
    std::string messages(const std::string &options = {}) const
    {
        return detail::reply_of([&](char **reply) { return wsplug_server_messages(ref_, options.c_str(), reply); });
    }
    void execute(const std::string &procedure, const std::string &params = "null") const
    {
        detail::reply_of([&](char **reply) {
            return wsplug_server_execute(ref_, procedure.c_str(), params.c_str(), reply);
        });
    }
    void set_value(const std::string &key, const std::optional<std::string> &value) const
    {
        detail::checked(wsplug_server_set_value(ref_, key.c_str(), detail::pointer(value)));
    }
    std::optional<std::string> value(const std::string &key) const
    {
        return detail::value_of([&](char **value) { return wsplug_server_get_value(ref_, key.c_str(), value); });
    }

private:
    int32_t ref_ = 0;
    std::string configuration_;
};

/// What an event handler is told. The views are valid until the handler returns.
struct happening {
    int32_t server, client;
    std::string_view type, context, worker;
    int32_t window, process;
};

/// What is called with events. Without `message`, messages come to `event` as JSON.
struct handlers {
    std::function<void(const happening &)> event;
    std::function<void(int32_t server, connection from, int32_t kind, std::string_view data)> message;
    /// Takes what event or message threw.
    std::function<void(std::exception_ptr)> failure;
};

namespace detail {

/// Handlers, under an address that stays: one that was replaced inside a callback may still run.
inline void *kept(handlers what)
{
    static std::mutex mutex;
    static auto *all = new std::vector<std::unique_ptr<handlers>>; // for ever: the library may call until the process ends
    const std::lock_guard lock(mutex);
    all->push_back(std::make_unique<handlers>(std::move(what)));
    return all->back().get();
}

template <typename Call>
void guarded(void *user_data, Call call) noexcept
{
    const auto &own = *static_cast<const handlers *>(user_data);
    try {
        call(own);
    } catch (...) {
        if (own.failure) own.failure(std::current_exception());
    }
}

inline void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context, const char *worker,
                                int32_t window, int32_t process, void *user_data)
{
    guarded(user_data, [&](const handlers &own) {
        own.event({server, client, type, context, worker, window, process});
    });
}

inline void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    guarded(user_data, [&](const handlers &own) {
        own.message(server, connection(client), kind, {static_cast<const char *>(data), static_cast<size_t>(length)});
    });
}

inline void WSPLUG_API on_log(int32_t level, const char *message, void *user_data)
{
    (*static_cast<const std::function<void(int32_t, std::string_view)> *>(user_data))(level, message);
}

inline void WSPLUG_API on_wakeup(void *user_data) { (*static_cast<const std::function<void()> *>(user_data))(); }

} // namespace detail

/// Sets what is called for all events that no method takes; empty handlers: events wait for event::next.
inline void on(handlers what)
{
    const auto event = what.event ? detail::on_event : nullptr;
    const auto message = what.message ? detail::on_message : nullptr;
    detail::checked(wsplug_set_callbacks(event, message, detail::kept(std::move(what))));
}

/// The same for the servers and clients whose option "method" is `method`.
inline void on(const std::string &method, handlers what)
{
    const auto event = what.event ? detail::on_event : nullptr;
    const auto message = what.message ? detail::on_message : nullptr;
    detail::checked(wsplug_set_method(method.c_str(), event, message, detail::kept(std::move(what))));
}

/// Sends the library's log to `write`, on any thread; it must not throw.
inline void log_to(int32_t level, std::function<void(int32_t level, std::string_view text)> write)
{
    auto *kept = new std::function<void(int32_t, std::string_view)>(std::move(write)); // for ever, as handlers
    detail::checked(wsplug_set_log_callback(level, *kept ? detail::on_log : nullptr, kept));
}

/// Has `wake` called, or with {"fd":true} or {"hwnd":…,"message":…} something else done, when something waits for next or pump; the
/// reply has "fd". Neither: nothing. `wake` runs on any thread and must not throw.
inline std::string set_wakeup(const std::string &options, std::function<void()> wake = {})
{
    auto *kept = new std::function<void()>(std::move(wake)); // for ever, as handlers
    const auto callback = *kept ? detail::on_wakeup : nullptr;
    return detail::reply_of([&](char **reply) { return wsplug_set_wakeup(options.c_str(), callback, kept, reply); });
}

/// An event that no handler takes. Its texts are valid as long as it lives.
class event {
public:
    /// The next one; nothing if none has come in time. 0 polls, a negative time waits until there is one.
    static std::optional<event> next(int32_t timeout_ms)
    {
        wsplug_event *taken = nullptr;
        if (detail::checked(wsplug_event_next(timeout_ms, &taken)) != WSPLUG_OK) return std::nullopt;
        return event(taken);
    }
    /// Ends one wait of next or pump.
    static void wake() noexcept { wsplug_event_wake(); }

    int32_t server() const noexcept { return wsplug_event_server(event_.get()); }
    connection client() const noexcept { return connection(wsplug_event_client(event_.get())); }
    int32_t kind() const noexcept { return wsplug_event_kind(event_.get()); }
    int32_t window() const noexcept { return wsplug_event_window(event_.get()); }
    int32_t process() const noexcept { return wsplug_event_process(event_.get()); }
    std::string_view type() const noexcept { return wsplug_event_type(event_.get()); }
    std::string_view context() const noexcept { return wsplug_event_context(event_.get()); }
    std::string_view worker() const noexcept { return wsplug_event_worker(event_.get()); }
    std::string_view method() const noexcept { return wsplug_event_method(event_.get()); }
    std::string_view data() const noexcept
    {
        int32_t length = 0;
        const void *data = wsplug_event_data(event_.get(), &length);
        return {static_cast<const char *>(data), static_cast<size_t>(length)};
    }

private:
    struct freed {
        void operator()(wsplug_event *taken) const noexcept { wsplug_event_free(taken); }
    };
    explicit event(wsplug_event *taken) noexcept : event_(taken) {}
    std::unique_ptr<wsplug_event, freed> event_;
};

inline std::string init(const std::string &options)
{
    return detail::reply_of([&](char **reply) { return wsplug_init(options.c_str(), reply); });
}

inline std::string info() { return detail::reply_of(wsplug_info); }

/// Runs the handlers of "dispatch":"pump" on this thread; how many ran.
inline int32_t pump(int32_t timeout_ms, int32_t max = 0) { return detail::checked(wsplug_pump(timeout_ms, max)); }

/// Whether everything had ended in time.
inline bool shutdown(int32_t timeout_ms) { return detail::checked(wsplug_shutdown(timeout_ms)) == WSPLUG_OK; }

inline std::string_view version() noexcept { return wsplug_version(); }

/// Whether the library that was loaded has the interface that this was compiled against.
inline bool fits() noexcept { return wsplug_abi_version() == WSPLUG_ABI_VERSION; }

} // namespace wsplug

#endif // WSPLUG_HPP
