// wsplug for Node 18 and newer, by koffi (npm install koffi).
//
// Each function of include/wsplug.h is here under its name without "wsplug_" and in camels, made from the header's own
// declarations:
//
//     const { ref: server } = wsplug.serverCreate({ port: 0, path: "/chat" }); // options and replies are objects
//     const { port } = wsplug.serverStart(server);
//     wsplug.clientSend(client, wsplug.TEXT, "hello");                         // a string or a Buffer; the length goes by itself
//     wsplug.clientSetValue(client, "name", "ann");
//
// A command that failed throws WsplugError. What C writes through a pointer is returned. events() is written by hand below.
//
// Threads: JavaScript runs on its main thread only. So set no callbacks: `for await (const event of events())` waits for events
// on a thread of libuv's and handles them on the main thread, where nothing may block: start a client and stop anything with
// { wait: false }, as that would wait for the network otherwise.
//
// The library is found by the name that the system gives it, or by the environment's WSPLUG_LIBRARY.

import koffi from "koffi";
import { promisify } from "node:util";

// --- from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header
export const ABI_VERSION = 1;
export const OK = 0;
export const TIMEOUT = 1;
export const INVALID_ARGUMENT = -1;
export const INVALID_OPTIONS = -2;
export const UNKNOWN_REF = -3;
export const WRONG_STATE = -4;
export const QUEUE_FULL = -5;
export const TOO_LARGE = -6;
export const NETWORK = -7;
export const IN_CALLBACK = -8;
export const FORKED = -9;
export const BUFFER_TOO_SMALL = -10;
export const INTERNAL = -99;
export const TEXT = 1;
export const BINARY = 2;
export const PING = 9;
export const PONG = 10;
export const LOG_OFF = 0;
export const LOG_ERROR = 1;
export const LOG_WARN = 2;
export const LOG_INFO = 3;
export const LOG_DEBUG = 4;

const declarations = `
typedef void (WSPLUG_API *wsplug_log_callback)(int32_t level, const char *message, void *user_data);
typedef void (WSPLUG_API *wsplug_event_callback)(int32_t server, int32_t client, const char *type, const char *context,
        const char *worker, int32_t window, int32_t process, void *user_data);
typedef void (WSPLUG_API *wsplug_message_callback)(int32_t server, int32_t client, int32_t kind, const void *data,
        int32_t length, void *user_data);
typedef void (WSPLUG_API *wsplug_wakeup_callback)(void *user_data);
int32_t WSPLUG_API wsplug_init(const char *options, char **reply);
int32_t WSPLUG_API wsplug_shutdown(int32_t timeout_ms);
int32_t WSPLUG_API wsplug_info(char **reply);
int32_t WSPLUG_API wsplug_set_log_callback(int32_t level, wsplug_log_callback callback, void *user_data);
const char *WSPLUG_API wsplug_status_text(int32_t status);
void WSPLUG_API wsplug_free(char *text);
int32_t WSPLUG_API wsplug_text_copy(const char *text, char *buffer, int32_t capacity);
const char *WSPLUG_API wsplug_version(void);
int32_t WSPLUG_API wsplug_abi_version(void);
int32_t WSPLUG_API wsplug_server_create(const char *options, int32_t *server, char **reply);
int32_t WSPLUG_API wsplug_server_start(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_stop(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_send(int32_t server, int32_t kind, const void *data, int32_t length,
        const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_clear(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_clients(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_set(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_execute(int32_t server, const char *procedure, const char *params, char **reply);
int32_t WSPLUG_API wsplug_server_set_value(int32_t server, const char *key, const char *value);
int32_t WSPLUG_API wsplug_server_get_value(int32_t server, const char *key, char **value);
int32_t WSPLUG_API wsplug_server_info(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_messages(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_create(const char *options, int32_t *client, char **reply);
int32_t WSPLUG_API wsplug_client_start(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_stop(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_send(int32_t client, int32_t kind, const void *data, int32_t length, char **reply);
int32_t WSPLUG_API wsplug_client_send_with(int32_t client, int32_t kind, const void *data, int32_t length,
        const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_clear(int32_t client, char **reply);
int32_t WSPLUG_API wsplug_client_execute(int32_t client, const char *procedure, const char *params, char **reply);
int32_t WSPLUG_API wsplug_client_set_value(int32_t client, const char *key, const char *value);
int32_t WSPLUG_API wsplug_client_get_value(int32_t client, const char *key, char **value);
int32_t WSPLUG_API wsplug_client_info(int32_t client, char **reply);
int32_t WSPLUG_API wsplug_client_messages(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_find(const char *name, int32_t *client);
int32_t WSPLUG_API wsplug_client_receive(int32_t client, int32_t timeout_ms, int32_t *kind, void *buffer,
        int32_t capacity, int32_t *length);
int32_t WSPLUG_API wsplug_client_accept(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_reject(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_subscribe(int32_t client, const char *topic, char **reply);
int32_t WSPLUG_API wsplug_client_unsubscribe(int32_t client, const char *topic, char **reply);
int32_t WSPLUG_API wsplug_server_publish(int32_t server, const char *topic, int32_t kind, const void *data,
        int32_t length, const char *options, char **reply);
int32_t WSPLUG_API wsplug_set_callbacks(wsplug_event_callback on_event, wsplug_message_callback on_message,
        void *user_data);
int32_t WSPLUG_API wsplug_set_method(const char *name, wsplug_event_callback on_event,
        wsplug_message_callback on_message, void *user_data);
int32_t WSPLUG_API wsplug_event_next(int32_t timeout_ms, wsplug_event **event);
void WSPLUG_API wsplug_event_wake(void);
int32_t WSPLUG_API wsplug_event_server(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_client(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_kind(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_window(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_process(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_type(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_context(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_worker(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_method(const wsplug_event *event);
const void *WSPLUG_API wsplug_event_data(const wsplug_event *event, int32_t *length);
void WSPLUG_API wsplug_event_free(wsplug_event *event);
int32_t WSPLUG_API wsplug_pump(int32_t timeout_ms, int32_t max);
int32_t WSPLUG_API wsplug_set_wakeup(const char *options, wsplug_wakeup_callback callback, void *user_data,
        char **reply);
`;
// --- end of what is from include/wsplug.h

const names = { win32: process.arch === "ia32" ? "wsplug32.dll" : "wsplug64.dll", darwin: "libwsplug.dylib" };
const library = koffi.load(process.env.WSPLUG_LIBRARY || names[process.platform] || "libwsplug.so");

// The functions of C, declared in koffi's dialect: which pointers are written through, and what is to be freed.
const free = library.func("void __stdcall wsplug_free(void *text)");
koffi.opaque("wsplug_event");
koffi.disposable("wsplug_text", "str", free);
const native = {}, called = {};
for (const [declaration] of declarations.matchAll(/[^;]+(?=;)/g)) {
    const inKoffi = declaration.replace("WSPLUG_API", "__stdcall").replace(/\bchar \*\*/g, "_Out_ wsplug_text *")
        .replace(/\b(int32_t \*|wsplug_event \*\*)(?=\w)/g, "_Out_ $1").replace(/(wsplug_\w+_callback) (?=\w)/g, "$1 *");
    if (declaration.trim().startsWith("typedef")) {
        koffi.proto(inKoffi.replace(/\s*typedef void \(__stdcall \*/, "void __stdcall ").replace(")(", "("));
        continue;
    }
    const [, result, name, parameters] = /(.+?)\s*__stdcall wsplug_(\w+)\((.*)\)/s.exec(inKoffi);
    native[name] = library.func(inKoffi);
    called[name.replace(/_./g, (two) => two[1].toUpperCase())] = wrapped(name, result.trim(), parameters);
}

export default { ...called, events };

/** A command that failed: its words, its status, the status's name and, where one is wrong, the option. */
export class WsplugError extends Error {
    constructor(status, reply) {
        super(reply?.error?.message ?? native.status_text(status));
        Object.assign(this, { status, name: reply?.error?.name ?? "WsplugError", option: reply?.error?.option });
    }
}

/** The events that no callback takes, as they come, until eventWake() ends it. */
async function* events() {
    const next = promisify(native.event_next.async);
    for (;;) {
        const pointer = [null];
        if (await next(-1, pointer) !== OK) return;
        const [event, length] = [pointer[0], [0]];
        const data = native.event_data(event, length);
        const bytes = length[0] ? Buffer.from(koffi.view(data, length[0]).slice(0)) : Buffer.alloc(0);
        const kind = native.event_kind(event);
        const seen = {
            server: native.event_server(event), client: native.event_client(event), type: native.event_type(event),
            context: JSON.parse(native.event_context(event)), kind, data: kind === TEXT ? bytes.toString() : bytes,
            method: native.event_method(event), worker: native.event_worker(event),
            window: native.event_window(event), process: native.event_process(event),
        };
        native.event_free(event);
        yield seen;
    }
}

/** The function of JavaScript for one of C: see this file's first lines. */
function wrapped(name, result, parameters) {
    const kinds = parameters === "void" ? [] : parameters.split(",").map((one) => /^\s*(.*?)(\w+)$/s.exec(one).slice(1));
    const tellsOfEvent = /^event_(?!next)/.test(name);
    return (...given) => {
        const written = {};
        const passed = [];
        for (const [kind, parameter] of kinds) {
            if (parameter === "options") passed.push(JSON.stringify(given.shift() ?? {}));
            else if (kind.startsWith("_Out_")) passed.push(written[parameter] = [null]);
            else if (parameter === "length") passed.push(passed.at(-1).length);
            else if (parameter === "data") passed.push(Buffer.from(given.shift()));
            else passed.push(given.shift() ?? null);
        }
        const returned = native[name](...passed);
        const reply = written.reply?.[0] ? JSON.parse(written.reply[0]) : undefined;
        if (result === "int32_t" && !tellsOfEvent && returned < 0) throw new WsplugError(returned, reply);
        if (written.reply) return reply;
        const [first] = Object.values(written);
        return first ? first[0] : returned;
    };
}
