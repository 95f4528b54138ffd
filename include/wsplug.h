/*
 * wsplug: WebSocket servers and clients for host applications.
 *
 * Rules that hold for every function; what differs stands at the function.
 *
 * Refs. An int32_t names every object: negative a server, positive one connection (a client of our own, or one that a
 * server accepted), 0 none. A ref whose object is gone gives WSPLUG_UNKNOWN_REF; it is not handed out again while
 * there are fresh ones, that is, before 2^31-1 others.
 *
 * Types. Only int32_t, pointers and void cross this border: no structs by value, no variadic functions, no 64-bit
 * integers, no size_t. Any host that can call a C function can call these.
 *
 * Calling convention. WSPLUG_API is __stdcall on 32-bit Windows and nothing elsewhere. Your callbacks need it too.
 *
 * Text is UTF-8 and ends with NUL. Data has a length and needs no NUL; it may be NULL if its length is 0. What you pass
 * in is read during the call only. What arrives in a `char **reply` is yours; give it back with wsplug_free. What a
 * callback is given is valid until the callback returns.
 *
 * Options are one JSON object; NULL or "" asks for the defaults. An option of the wrong type or out of range makes the
 * call fail with WSPLUG_INVALID_OPTIONS, with a message that names the option, the limit and what was given, and
 * nothing has happened. An unknown option is no error: "ignoredOptions" in the reply names it, with the known name
 * that is nearest to it, if any is near.
 *
 * Replies are one JSON object; wsplug_server_clients, ..._messages and wsplug_server_send give an array. Pass NULL
 * where you want none; then none is built. If the call failed, the reply has, beside the fields that it always has,
 *     {"success":false,"error":{"code":-2,"name":"invalid_options","message":"...","option":"port"}}
 *
 * Status. Functions that return a status return 0 when done, a positive number when it is not done (yet) but that is
 * no failure, and a negative one when they failed. wsplug_status_text puts it into words. Where a ref, a text or an
 * event is written to an address, NULL for that address is WSPLUG_INVALID_ARGUMENT unless its comment allows it; a
 * reply may always be left out.
 *
 * Threads. Every function may be called from any thread, at any time, also inside a callback, unless its comment says
 * otherwise. No lock is held while your code runs. On which threads callbacks run is yours to choose ("dispatch", see
 * wsplug_set_callbacks): by default on one thread of the library, one at a time.
 *
 * What waits. A client's start, stops, clears and wsplug_shutdown wait for the network or for callbacks that still
 * run; wsplug_set_callbacks and the others that set a callback, for the old one to return; wsplug_pump,
 * wsplug_event_next, ..._messages and wsplug_client_receive, as long as they are told to; a server's start, for the
 * look-up of its host's name. How long stands at each. Nothing else waits, sends least of all: what a peer does not
 * take yet is queued.
 *
 * Events of one connection come in order, and none is dropped but by what you do: a clear, wsplug_client_receive, and
 * callbacks without on_event say which. When you are slow, the bytes that may wait for you run out and the library
 * stops reading from those sockets until you have caught up. Exactly one "close" follows each "open". Once
 * wsplug_server_clear or wsplug_client_clear has returned, no callback for that ref runs any more, except the one that
 * called it.
 *
 * Manners. The library prints nothing, changes no signal handler and no setting of the process, and keeps SIGPIPE from
 * you. No exception leaves it: what goes wrong inside is logged and becomes WSPLUG_INTERNAL. In a child made by fork()
 * every command is refused with WSPLUG_FORKED; the parent goes on. Once loaded (on Windows: from the first call on),
 * the library stays in memory until the process ends, even after dlclose or FreeLibrary.
 */

#ifndef WSPLUG_H
#define WSPLUG_H

#include <stdint.h>

#if defined(_WIN32) && !defined(_WIN64)
#define WSPLUG_API __stdcall
#else
#define WSPLUG_API
#endif

// The version of this interface; wsplug_abi_version returns the library's.
#define WSPLUG_ABI_VERSION 1

// Done.
#define WSPLUG_OK 0

// Not done (yet), and nothing is wrong: nothing came in the time that was given, or a start goes on trying.
#define WSPLUG_TIMEOUT 1

// An argument is NULL, negative, not UTF-8 or none of the constants.
#define WSPLUG_INVALID_ARGUMENT -1

// The options are no JSON object, or one has the wrong type or is out of range.
#define WSPLUG_INVALID_OPTIONS -2

// There is no such server or connection, or no longer.
#define WSPLUG_UNKNOWN_REF -3

// The command does not fit the state that the object is in.
#define WSPLUG_WRONG_STATE -4

// What may wait has no room for it now; where that is a connection's send queue, the "drain" option tells when it
// has.
#define WSPLUG_QUEUE_FULL -5

// A ping or pong of more than 125 bytes.
#define WSPLUG_TOO_LARGE -6

// The network or the peer refused.
#define WSPLUG_NETWORK -7

// The command would wait for the very callback that it is called from.
#define WSPLUG_IN_CALLBACK -8

// The process is a forked child; the library works in the parent only.
#define WSPLUG_FORKED -9

// The buffer is too small; the length that is needed was written.
#define WSPLUG_BUFFER_TOO_SMALL -10

// A fault of the library, or no memory to compress a message; it was logged.
#define WSPLUG_INTERNAL -99

// A text message (RFC 6455 opcode).
#define WSPLUG_TEXT 1

// A binary message.
#define WSPLUG_BINARY 2

// A ping, at most 125 bytes.
#define WSPLUG_PING 9

// A pong, at most 125 bytes.
#define WSPLUG_PONG 10

// Logs nothing.
#define WSPLUG_LOG_OFF 0

// Faults of the library.
#define WSPLUG_LOG_ERROR 1

// What somebody should look at.
#define WSPLUG_LOG_WARN 2

// What comes and goes.
#define WSPLUG_LOG_INFO 3

// For debugging.
#define WSPLUG_LOG_DEBUG 4

// One event in the host's hands. Freed with wsplug_event_free.
typedef struct wsplug_event wsplug_event;

// Takes log messages, up to the level that was asked for. It may be called on any thread, on several at the same
// time, and counts as a callback: inside it wsplug_shutdown and wsplug_pump are refused, and stops do not wait. It
// must not throw, longjmp or end its thread.
typedef void (WSPLUG_API *wsplug_log_callback)(int32_t level, const char *message, void *user_data);

// Takes events. Type is "open", "message", "fragment", "ping", "pong", "close", "error", "drain", "sent",
// "execute", "service", "stopped", "request" or "refused"; context is a JSON object. Server is 0 where it is about
// a client of our own, client 0 where it is about a server itself. Everything is valid until the callback returns.
// It must not throw, longjmp or end its thread.
typedef void (WSPLUG_API *wsplug_event_callback)(int32_t server, int32_t client, const char *type,
        const char *context, const char *worker, int32_t window, int32_t process, void *user_data);

// Takes messages as they came: kind is WSPLUG_TEXT or WSPLUG_BINARY, data has length bytes and no NUL behind them.
// Server, what is valid and what it must not do: as wsplug_event_callback.
typedef void (WSPLUG_API *wsplug_message_callback)(int32_t server, int32_t client, int32_t kind,
        const void *data, int32_t length, void *user_data);

// Tells that something waits. It must not throw, longjmp or end its thread.
typedef void (WSPLUG_API *wsplug_wakeup_callback)(void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Sets what holds for the whole library: "threads" (network threads: 1), "sendBudgetBytes" (what may wait to be
// sent in the whole process: no limit), "dispatch" and "affinity" (see wsplug_set_callbacks), "callbackThreads"
// (those of "perConnection": 16; 1 to 1024). Optional, and only before anything was created or after
// wsplug_shutdown; WSPLUG_WRONG_STATE otherwise.
int32_t WSPLUG_API wsplug_init(const char *options, char **reply);

// Closes every connection with 1001, delivers what is left for callbacks, joins every thread of the library and
// forgets all refs and callbacks but the log's. Waits for up to timeout_ms (negative: 10,000), then ends what is
// left without a word and returns WSPLUG_TIMEOUT. Meanwhile nothing can be created or started, and a second
// wsplug_shutdown is refused: WSPLUG_WRONG_STATE. Afterwards all of that can be done again, and events that no
// callback takes can still be pulled. Inside a callback: WSPLUG_IN_CALLBACK.
int32_t WSPLUG_API wsplug_shutdown(int32_t timeout_ms);

// Replies with what the library holds and has counted: "version", network "threads", open "connections", counters,
// what waits for the host, and each of "servers" and "clients" (of our own). See docs/abi.md.
int32_t WSPLUG_API wsplug_info(char **reply);

// Sends log messages up to level (WSPLUG_LOG_OFF to WSPLUG_LOG_DEBUG, else WSPLUG_INVALID_ARGUMENT) to callback,
// which may be NULL. Returns once the old one no longer runs, unless it is called inside a callback.
// wsplug_shutdown leaves it set. Messages hold no payloads and no secrets.
int32_t WSPLUG_API wsplug_set_log_callback(int32_t level, wsplug_log_callback callback, void *user_data);

// A status in words, also for a number that is no status. Static; do not free it.
const char *WSPLUG_API wsplug_status_text(int32_t status);

// Frees what a function gave in a `char **`. NULL is allowed.
void WSPLUG_API wsplug_free(char *text);

// Copies a text into a buffer, for hosts that cannot follow a pointer. Returns the bytes that are needed,
// the NUL included; if capacity is less, the text is cut at a character's end and still ends with NUL. A
// NULL text counts as "". With buffer NULL or capacity 0, only the length is returned.
int32_t WSPLUG_API wsplug_text_copy(const char *text, char *buffer, int32_t capacity);

// The library's version, such as "0.1.0". Static; do not free it.
const char *WSPLUG_API wsplug_version(void);

// The version of the interface that the loaded library has: compare it with WSPLUG_ABI_VERSION.
int32_t WSPLUG_API wsplug_abi_version(void);

// Makes a server, which does not listen yet. Its ref, negative, is written to *server, 0 on failure; the
// reply is its whole configuration and "ref". Let it go with wsplug_server_clear.
int32_t WSPLUG_API wsplug_server_create(const char *options, int32_t *server, char **reply);

// Begins to listen, in the calling thread, so that the reply tells whether it worked and on which "port". Takes
// the options of wsplug_server_create too. WSPLUG_WRONG_STATE if it listens already.
int32_t WSPLUG_API wsplug_server_start(int32_t server, const char *options, char **reply);

// Stops listening at once and closes every connection with "code" (1001) and "reason"; each gets its "close"
// event. Takes the options of wsplug_server_create for the next start too. Waits until the connections have ended,
// at most closeTimeoutMs (or "deadlineMs") and a second, unless "wait" is false or it is called inside a callback.
// A server that does not listen is no failure.
//
// With "drain":true it takes no new clients and lets those that are there go by themselves; who is left after
// "deadlineMs" (30000) is closed with "code" and "reason". So it waits longer: at most deadlineMs, closeTimeoutMs
// and a second, 36 seconds by default. Meanwhile everything else works, also a new start; another stop counts
// instead of this.
int32_t WSPLUG_API wsplug_server_stop(int32_t server, const char *options, char **reply);

// Sends a message to the connections in "clients", or to every open one without that option; with "confirm" as
// wsplug_client_send_with. Queued when it returns; the reply has one status per target. WSPLUG_OK also if single
// targets failed: see the reply.
int32_t WSPLUG_API wsplug_server_send(int32_t server, int32_t kind, const void *data, int32_t length,
        const char *options, char **reply);

// Lets a server go, with its connections, and waits until their callbacks that run on other threads have returned.
// "close" events that are owed come before it returns (on the calling thread in pump, inline and perConnection
// mode and inside callbacks; with "affinity" on the connection's own thread); other waiting callbacks do not come
// any more.
int32_t WSPLUG_API wsplug_server_clear(int32_t server, char **reply);

// Replies with the refs of the server's open connections, ascending.
int32_t WSPLUG_API wsplug_server_clients(int32_t server, char **reply);

// Changes what may be changed while a server listens: "blocked", "interval", and method, worker, window, process,
// dispatch and affinity. Other options are named in "ignoredOptions". The reply is the configuration.
int32_t WSPLUG_API wsplug_server_set(int32_t server, const char *options, char **reply);

// Posts an "execute" event in the context of a server, with "procedure" and "params" (a JSON value, NULL is null),
// before the next "service", never beside another event of client 0. WSPLUG_WRONG_STATE unless it is started,
// WSPLUG_QUEUE_FULL where more events wait for the host than may.
int32_t WSPLUG_API wsplug_server_execute(int32_t server, const char *procedure, const char *params,
        char **reply);

// Keeps a text under a key with a server, until the ref is gone. A NULL value removes it.
int32_t WSPLUG_API wsplug_server_set_value(int32_t server, const char *key, const char *value);

// Writes what was kept under a key to *value, to be freed with wsplug_free; NULL if there is nothing.
int32_t WSPLUG_API wsplug_server_get_value(int32_t server, const char *key, char **value);

// Replies with how a server stands: its url, how many "clients" it has, who was "refused" by reason, what waits,
// and counters over all of its connections, also those that are gone. See docs/abi.md.
int32_t WSPLUG_API wsplug_server_info(int32_t server, char **reply);

// Replies with events of the server and its connections that wait because there is no callback for them, and
// consumes them: at most "max" (100), after waiting "timeout" seconds (0) for the first; in a callback on a
// network thread only 0, else WSPLUG_IN_CALLBACK.
int32_t WSPLUG_API wsplug_server_messages(int32_t server, const char *options, char **reply);

// Makes a client, which is not connected yet. Its ref, positive, is written to *client, 0 on failure; the
// reply is its whole configuration and "ref". Let it go with wsplug_client_clear.
int32_t WSPLUG_API wsplug_client_create(const char *options, int32_t *client, char **reply);

// Connects, and waits for the result for up to "timeout" seconds (20); with "wait":false it returns at once, and
// "open" or "error" tells. Takes the options of wsplug_client_create too. With "retryFirst" it may return the
// positive WSPLUG_TIMEOUT: not connected, and the client goes on trying. WSPLUG_WRONG_STATE if it is started
// already; inside an inline callback only with "wait":false, else WSPLUG_IN_CALLBACK.
int32_t WSPLUG_API wsplug_client_start(int32_t client, const char *options, char **reply);

// Closes a connection, ours or accepted, with "code" (1000) and "reason". A "close" event follows; messages that
// still arrive before it are dropped. Ends reconnection, also while it waits. Waits until the connection has
// ended, at most closeTimeoutMs and a second, unless "wait" is false or it is called inside a callback.
int32_t WSPLUG_API wsplug_client_stop(int32_t client, const char *options, char **reply);

// Sends a message on a connection, ours or accepted; it never waits. Queued when it returns. WSPLUG_QUEUE_FULL if
// sendQueueBytes wait already, or sendBudgetBytes on all connections together; WSPLUG_WRONG_STATE if it is not
// open (a client with queueWhileDisconnected keeps the message instead, up to that many bytes);
// WSPLUG_INVALID_ARGUMENT for a text that is not UTF-8; WSPLUG_TOO_LARGE for a ping or pong of more than 125
// bytes; WSPLUG_INTERNAL, with "compressionError" in the reply, where there is no memory to compress it.
int32_t WSPLUG_API wsplug_client_send(int32_t client, int32_t kind, const void *data, int32_t length,
        char **reply);

// The same with options: "confirm", a number or a text that comes back in a "sent" event once the system has taken
// the whole message. WSPLUG_QUEUE_FULL also if more events wait for the host than eventQueueEvents and
// eventQueueBytes allow.
int32_t WSPLUG_API wsplug_client_send_with(int32_t client, int32_t kind, const void *data, int32_t length,
        const char *options, char **reply);

// Lets a connection go, ours or accepted, and waits until its callbacks that run on other threads have returned;
// of a client with queueWhileDisconnected also, outside of callbacks, until what waits has left, at most
// closeTimeoutMs and a second. The "close" event that is owed comes before it returns (on the calling thread in
// pump, inline and perConnection mode and inside callbacks; with "affinity" on the connection's own thread); other
// waiting callbacks do not come any more.
int32_t WSPLUG_API wsplug_client_clear(int32_t client, char **reply);

// Posts an "execute" event in the context of a connection, ours or accepted, with "procedure" and "params" (a JSON
// value, NULL is null), in its order, never beside another event of it. WSPLUG_WRONG_STATE unless it is open,
// WSPLUG_QUEUE_FULL where more events wait for the host than may; one that closes meanwhile drops it.
int32_t WSPLUG_API wsplug_client_execute(int32_t client, const char *procedure, const char *params,
        char **reply);

// Keeps a text under a key with a connection, ours or accepted, until the ref is gone; of an accepted one it can
// still be read in the callback that gets its "close". A NULL value removes it.
int32_t WSPLUG_API wsplug_client_set_value(int32_t client, const char *key, const char *value);

// Writes what was kept under a key to *value, to be freed with wsplug_free; NULL if there is nothing.
int32_t WSPLUG_API wsplug_client_get_value(int32_t client, const char *key, char **value);

// Replies with how a connection stands, ours or accepted: "state" (connecting, open, closing or closed, or
// asking), where it comes from, what its handshake brought, the round-trip time of the last ping, what waits, and
// counters. See docs/abi.md.
int32_t WSPLUG_API wsplug_client_info(int32_t client, char **reply);

// Replies with events of a connection, ours or accepted, that wait because there is no callback for them, and
// consumes them: at most "max" (100), after waiting "timeout" seconds (0) for the first; in a callback on a
// network thread only 0, else WSPLUG_IN_CALLBACK.
int32_t WSPLUG_API wsplug_client_messages(int32_t client, const char *options, char **reply);

// Writes to *client the ref of the living client whose option "name" this is; 0 and WSPLUG_UNKNOWN_REF if there is
// none, WSPLUG_INVALID_ARGUMENT of an empty name. Accepted connections have no name.
int32_t WSPLUG_API wsplug_client_find(const char *name, int32_t *client);

// Takes the next message of a connection, ours or accepted, that no callback takes: whole, *length bytes in buffer
// without a NUL behind them, of *kind WSPLUG_TEXT or WSPLUG_BINARY. Length must not be NULL, kind may be.
// timeout_ms 0 polls, negative waits until there is one, else WSPLUG_TIMEOUT; in a callback on a network thread
// only 0, else WSPLUG_IN_CALLBACK. WSPLUG_BUFFER_TOO_SMALL if capacity is less than its length, which is written
// to *length: the message stays for the next call; so a NULL buffer with capacity 0 asks for the length. Several
// threads may receive.
//
// A client that comes back by itself is waited for. Once nothing more can come: first what is left, then
// WSPLUG_WRONG_STATE, or WSPLUG_UNKNOWN_REF of an accepted connection. WSPLUG_WRONG_STATE also where there is a
// callback for its events, unless its option "dispatch" is "pull". Other events are passed over and dropped, but
// for the last "close" and the last "error", which can be pulled until a later message was received.
int32_t WSPLUG_API wsplug_client_receive(int32_t client, int32_t timeout_ms, int32_t *kind, void *buffer,
        int32_t capacity, int32_t *length);

// Lets a client in that a "request" event told of, with "protocol" (one that it offers), "headers" of the answer,
// "topics" and "values", or nothing of the kind. From any thread, in the callback or later. "open" follows, or
// "refused" if the client has left meanwhile; until "open" nothing can be sent. WSPLUG_WRONG_STATE if it was
// answered before, WSPLUG_UNKNOWN_REF if "refused" has come.
int32_t WSPLUG_API wsplug_client_accept(int32_t client, const char *options, char **reply);

// Sends a client away that a "request" event told of, with an HTTP "status" (403), "headers" and a "body". From any
// thread, in the callback or later. "refused" follows, and the ref is gone. Statuses as wsplug_client_accept.
int32_t WSPLUG_API wsplug_client_reject(int32_t client, const char *options, char **reply);

// Subscribes a connection that a server accepted to a topic, until it ends; being subscribed already is no
// failure. The reply tells whether that has "changed" anything, and how many "subscribers" the topic has.
// WSPLUG_WRONG_STATE for a client of our own, one that is closing, and beyond the server's "maxTopics". A topic is
// any text of 1 to 256 bytes.
int32_t WSPLUG_API wsplug_client_subscribe(int32_t client, const char *topic, char **reply);

// Ends a subscription. What was published before still comes. Not being subscribed is no failure: see "changed".
int32_t WSPLUG_API wsplug_client_unsubscribe(int32_t client, const char *topic, char **reply);

// Sends a message to every connection that is subscribed to a topic; encoded once for all of them, but anew for
// each whose compression keeps its context. A topic without subscribers is no failure. The reply tells how many
// "subscribers" there were, for how many of them it is "queued", and who "failed", by the error's name; with
// "statuses", each one's status. See docs/topics.md.
int32_t WSPLUG_API wsplug_server_publish(int32_t server, const char *topic, int32_t kind, const void *data,
        int32_t length, const char *options, char **reply);

// Sets the callbacks for all events that no method takes; both NULL: events wait to be pulled. Where on_message is
// NULL, messages come to on_event as JSON. Where only on_event is NULL, every event but messages is thrown away,
// "close" and "request" too. Events that wait for callbacks already go to these ones. Returns once the old
// callbacks no longer run, unless it is called inside a callback.
//
// The option "dispatch" of a server or client (or of wsplug_init, for all) says how they run: "thread" (the
// default) calls back on one thread of the library, one event at a time; "inline" on the connection's network
// thread, for short callbacks; "pump" only inside wsplug_pump; "perConnection" on several threads of the library,
// those of one connection one after the other, with "affinity":true always on the same thread. See docs/events.md.
int32_t WSPLUG_API wsplug_set_callbacks(wsplug_event_callback on_event, wsplug_message_callback on_message,
        void *user_data);

// Sets the callbacks of the servers and clients whose option "method" is name; both NULL: none.
// WSPLUG_INVALID_ARGUMENT of a name that is NULL or empty. Otherwise as wsplug_set_callbacks.
int32_t WSPLUG_API wsplug_set_method(const char *name, wsplug_event_callback on_event,
        wsplug_message_callback on_message, void *user_data);

// Takes the next event that no callback takes: timeout_ms 0 polls, negative waits until there is one; in a
// callback on a network thread only 0, else WSPLUG_IN_CALLBACK. Writes it to *event, to be freed with
// wsplug_event_free, or NULL with WSPLUG_TIMEOUT.
int32_t WSPLUG_API wsplug_event_next(int32_t timeout_ms, wsplug_event **event);

// Ends one wait of wsplug_event_next, ..._messages or wsplug_pump early: the one under way, or else the next. It
// answers as when nothing has come in its time: WSPLUG_TIMEOUT, an empty array, 0.
void WSPLUG_API wsplug_event_wake(void);

// The event's server, or 0. Of a NULL event this and all of the following give 0, "" or NULL.
int32_t WSPLUG_API wsplug_event_server(const wsplug_event *event);

// The event's connection, or 0.
int32_t WSPLUG_API wsplug_event_client(const wsplug_event *event);

// The kind of a "message", "fragment", "ping" or "pong", or 0.
int32_t WSPLUG_API wsplug_event_kind(const wsplug_event *event);

// The option "window" as it was when the event happened.
int32_t WSPLUG_API wsplug_event_window(const wsplug_event *event);

// The option "process" as it was when the event happened.
int32_t WSPLUG_API wsplug_event_process(const wsplug_event *event);

// The type, as a callback gets it. Static.
const char *WSPLUG_API wsplug_event_type(const wsplug_event *event);

// The context, a JSON object, as a callback gets it; valid until the event is freed. The first call builds it, so
// no two threads may call this for the same event at the same time.
const char *WSPLUG_API wsplug_event_context(const wsplug_event *event);

// The option "worker" as it was when the event happened; valid until the event is freed.
const char *WSPLUG_API wsplug_event_worker(const wsplug_event *event);

// The option "method" as it was when the event happened; valid until the event is freed.
const char *WSPLUG_API wsplug_event_method(const wsplug_event *event);

// The payload of a "message", "fragment", "ping" or "pong" as it came, *length bytes without NUL; NULL and 0 of
// others. Valid until the event is freed. Length may be NULL.
const void *WSPLUG_API wsplug_event_data(const wsplug_event *event, int32_t *length);

// Frees an event. NULL is allowed.
void WSPLUG_API wsplug_event_free(wsplug_event *event);

// Runs the callbacks of "dispatch":"pump" on the calling thread: waits up to timeout_ms (0: not, negative: until
// there is one) for the first event, then takes what is there, at most max (0 or less: all). Returns how many
// callbacks ran, or a negative status. Another thread that pumps meanwhile waits. Inside a callback:
// WSPLUG_IN_CALLBACK.
int32_t WSPLUG_API wsplug_pump(int32_t timeout_ms, int32_t max);

// Sets what tells a host that sleeps elsewhere that something waits for wsplug_pump, wsplug_event_next,
// ..._messages or wsplug_client_receive; at once, if something does. Replaces what was set; without options ("fd"
// or "hwnd") and with a NULL callback it removes it, as wsplug_shutdown does. Returns once the old callback no
// longer runs, unless it is called inside a callback.
//
// The callback is called on whichever thread brings the event, mostly a network thread of the library, with no
// lock held. It should only wake the host's own thread: as long as it runs, that network thread does nothing else.
// Inside it wsplug_pump is refused.
//
// One wake-up stands for all that came since the host looked last. So look until there is no more:
// wsplug_event_next until WSPLUG_TIMEOUT, ..._messages until fewer come than were asked for. A wsplug_pump that
// stops at its max is told anew.
//
// {"fd":true}, not on Windows: the reply's "fd" is readable as long as anything waits. Poll it, do not read from
// it, and do not close it: it is the library's, and closed when it is replaced or removed.
//
// {"hwnd":...,"message":...}, on Windows: the message is posted to the window, with wParam and lParam 0. It is for
// the window's thread to pump when it gets it.
int32_t WSPLUG_API wsplug_set_wakeup(const char *options, wsplug_wakeup_callback callback, void *user_data,
        char **reply);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WSPLUG_H */
