"""wsplug for Python 3.8 and newer: ctypes, and no package.

Each function of include/wsplug.h is here under its name without "wsplug_", made from the header's own declarations:

    server = wsplug.server_create(port=0, path="/chat")["ref"]      # options are keywords, a reply is a dict or list
    port = wsplug.server_start(server)["port"]
    wsplug.client_send(client, wsplug.TEXT, "hello")                # str or bytes; the length goes by itself
    wsplug.client_set_value(client, "name", "ann")

A command that failed raises Error. What C writes through a pointer is returned. receive(), events() and what sets callbacks
are written by hand below.

Threads: a callback runs on a thread of the library and takes the GIL for it, so it may use any Python object. Every call
into the library lets the GIL go while it waits, so callbacks run meanwhile. With dispatch="pump" callbacks run in pump() only.

The library is found by the name that the system gives it, or by the environment's WSPLUG_LIBRARY.
"""

import ctypes
import json
import os
import re
import sys
import traceback
from collections import namedtuple
from ctypes import POINTER, byref, c_char_p, c_int32, c_void_p

# --- from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header
ABI_VERSION = 1
OK = 0
TIMEOUT = 1
INVALID_ARGUMENT = -1
INVALID_OPTIONS = -2
UNKNOWN_REF = -3
WRONG_STATE = -4
QUEUE_FULL = -5
TOO_LARGE = -6
NETWORK = -7
IN_CALLBACK = -8
FORKED = -9
BUFFER_TOO_SMALL = -10
INTERNAL = -99
TEXT = 1
BINARY = 2
PING = 9
PONG = 10
LOG_OFF = 0
LOG_ERROR = 1
LOG_WARN = 2
LOG_INFO = 3
LOG_DEBUG = 4

DECLARATIONS = """
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
"""
# --- end of what is from include/wsplug.h

Event = namedtuple("Event", "server client type context kind data method worker window process")


class Error(Exception):
    """A command that failed: its words, its status, the status's name and, where one is wrong, the option."""

    def __init__(self, status, reply):
        error = reply.get("error", {}) if isinstance(reply, dict) else {}
        super().__init__(error.get("message") or status_text(status))
        self.status, self.name, self.option = status, error.get("name"), error.get("option")


def set_callbacks(on_event, on_message=None):
    """on_event(server, client, type, context) for all events that no method takes, context being a dict. Messages go to
    on_message(server, client, kind, data) if there is one, data being str or bytes. None: events wait for events()."""
    _keep(on_event, on_message, _library.wsplug_set_callbacks)


def set_method(name, on_event, on_message=None):
    """The same for the servers and clients with method=name."""
    _keep(on_event, on_message, lambda *pair: _library.wsplug_set_method(name.encode(), *pair))


def set_log_callback(level, on_log):
    """on_log(level, message), on any thread; None ends it."""
    callback = _callback("wsplug_log_callback", on_log and (lambda level, text, _: on_log(level, text.decode())))
    _checked(_library.wsplug_set_log_callback(level, callback, None))


def set_wakeup(on_wakeup=None, **options):
    """on_wakeup() when something waits for pump() or events(), on any thread; with fd=True the reply's "fd" is readable then."""
    callback = _callback("wsplug_wakeup_callback", on_wakeup and (lambda _: on_wakeup()))
    return _functions["wsplug_set_wakeup"](callback, None, **options)


def events(timeout_ms):
    """Yields the events that no callback takes, until none has come for timeout_ms (negative: until event_wake)."""
    event = c_void_p()
    while _checked(_library.wsplug_event_next(timeout_ms, byref(event))) == OK:
        length = c_int32()
        data = _library.wsplug_event_data(event, byref(length))
        kind = event_kind(event)
        happened = Event(
            event_server(event), event_client(event), event_type(event), json.loads(event_context(event)),
            kind, _payload(kind, data, length.value),
            event_method(event), event_worker(event), event_window(event), event_process(event),
        )
        event_free(event)  # before anybody may stop asking
        yield happened


def receive(client, timeout_ms):
    """The next message of a connection, str or bytes; None if none has come in time."""
    kind, length, buffer = c_int32(), c_int32(), None
    while True:
        status = _library.wsplug_client_receive(client, timeout_ms, byref(kind), buffer, len(buffer or b""), byref(length))
        if status == BUFFER_TOO_SMALL:
            buffer = ctypes.create_string_buffer(length.value)
        elif _checked(status) == TIMEOUT:
            return None
        else:
            return _payload(kind.value, ctypes.cast(buffer, c_void_p), length.value)


def _payload(kind, data, length):
    data = ctypes.string_at(data, length) if length else b""
    return data.decode() if kind == TEXT else data


# Every callback, for ever: without a reference Python would free it, and one that is replaced inside itself still runs.
_kept = []


def _keep(on_event, on_message, set_pair):
    def event(server, client, kind, context, worker, window, process, _):
        on_event(server, client, kind.decode(), json.loads(context))

    def message(server, client, kind, data, length, _):
        on_message(server, client, kind, _payload(kind, data, length))

    pair = _callback("wsplug_event_callback", on_event and event), _callback("wsplug_message_callback", on_message and message)
    _checked(set_pair(*pair, None))


def _callback(type_name, function):
    """A C function that calls `function` and lets no exception out; NULL if there is none."""

    def guarded(*arguments):
        try:
            function(*arguments)
        except Exception:
            traceback.print_exc()

    if not function:
        return _types[type_name]()
    _kept.append(_types[type_name](guarded))
    return _kept[-1]


def _checked(status):
    if status < 0:
        raise Error(status, None)
    return status


def _function(result, name, parameters):
    """The function of Python for one of C: see this file's first lines."""
    native = getattr(_library, name)
    native.restype, native.argtypes = _types[result], [_types[kind] for kind, _ in parameters]
    tells_of_event = name.startswith("wsplug_event_") and result == "int32_t" and not name.endswith("_next")

    def call(*arguments, **options):
        arguments, passed, written = list(arguments), [], {}
        for kind, parameter in parameters:
            if parameter == "options":
                passed.append(json.dumps(options).encode())
            elif kind in _written:
                written[parameter] = _written[kind]()
                passed.append(byref(written[parameter]))
            elif parameter == "length":
                passed.append(len(passed[-1]))
            else:
                value = arguments.pop(0)
                passed.append(value.encode() if isinstance(value, str) else value)
        if arguments:
            raise TypeError(f"{name} takes {len(passed) - len(written)} arguments")
        returned = native(*passed)
        texts = {parameter: _taken(written[parameter]) for kind, parameter in parameters if kind == "char **"}
        reply = json.loads(texts["reply"]) if texts.get("reply") else None
        if result == "int32_t" and not tells_of_event and returned < 0:
            raise Error(returned, reply)
        if "reply" in written:
            return reply
        for parameter, out in written.items():
            return texts.get(parameter, out.value)
        return returned.decode() if isinstance(returned, bytes) else returned

    return call


def _taken(text):
    """The text behind a `char **`, which is freed."""
    if text.value is None:
        return None
    copy = ctypes.string_at(text.value).decode()
    _library.wsplug_free(text)
    return copy


_is_windows = os.name == "nt"
_library = (ctypes.WinDLL if _is_windows else ctypes.CDLL)(
    os.environ.get("WSPLUG_LIBRARY")
    or (("wsplug64.dll" if sys.maxsize > 2**32 else "wsplug32.dll") if _is_windows else
        "libwsplug.dylib" if sys.platform == "darwin" else "libwsplug.so"))
_written = {"int32_t *": c_int32, "char **": c_void_p, "wsplug_event **": c_void_p}
_types = {
    "void": None, "int32_t": c_int32, "const char *": c_char_p, "const void *": c_void_p, "void *": c_void_p,
    "char *": c_void_p, "const wsplug_event *": c_void_p, "wsplug_event *": c_void_p,
    **{kind: POINTER(out) for kind, out in _written.items()},
}

_functions = {}


def _declare():
    for declaration in DECLARATIONS.split(";"):
        match = re.fullmatch(r"\s*(?:typedef )?(.+?)\s*\(?WSPLUG_API \*?(\w+)\)?\((.*)\)", declaration, re.DOTALL)
        if not match:
            continue
        result, name, parameters = match.groups()
        parameters = [re.fullmatch(r"\s*(.+?) ?(\w+)", one).groups() for one in parameters.split(",") if one != "void"]
        if declaration.strip().startswith("typedef"):
            made = ctypes.WINFUNCTYPE if _is_windows else ctypes.CFUNCTYPE
            _types[name] = made(None, *(_types[kind] for kind, _ in parameters))
        else:
            _functions[name] = _function(result, name, parameters)
            globals().setdefault(name[len("wsplug_"):], _functions[name])


_declare()
