/*
 * wsplug as a host on Windows has it: loaded while it runs, each function found by its plain name. With checks that end the
 * program, and events that are kept until they are asked for. A program that finds nothing wrong prints nothing and ends with 0.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

/* ---- checks ---- */

#define CHECK(condition) ((condition) ? (void)0 : failed(__FILE__, __LINE__, "%s", #condition))
#define CHECK_INT(actual, expected) check_int(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected))
#define CHECK_HAS(text, part) (strstr((text), (part)) ? (void)0 : failed(__FILE__, __LINE__, "no %s in %s", (part), (text)))

enum { PATIENCE_MS = 20000 };

static inline void failed(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(stderr);
    TerminateProcess(GetCurrentProcess(), 1);
}

static inline void check_int(const char *file, int line, const char *what, long long actual, long long expected)
{
    if (actual != expected)
        failed(file, line, "%s is %ld, not %ld", what, (long)actual, (long)expected);
}

static inline DWORD WINAPI watchdog(void *unused)
{
    (void)unused;
    Sleep(60000);
    failed(__FILE__, __LINE__, "the program hangs");
    return 0;
}

/* ---- the library ---- */

/* All of the header's: tests/windows.rs compares. */
#define FUNCTIONS(each)                                                                                              \
    each(abi_version) each(version) each(init) each(shutdown) each(free) each(status_text) each(text_copy) each(info) \
    each(set_log_callback) each(server_create) each(server_start) each(server_stop) each(server_send)                \
    each(server_publish) each(server_clear) each(server_clients) each(server_messages) each(server_set)              \
    each(server_info) each(server_execute) each(server_set_value) each(server_get_value) each(client_create)         \
    each(client_start) each(client_stop) each(client_send) each(client_send_with) each(client_clear)                 \
    each(client_messages) each(client_receive) each(client_find) each(client_info) each(client_execute)              \
    each(client_set_value) each(client_get_value) each(client_accept) each(client_reject) each(client_subscribe)     \
    each(client_unsubscribe) each(set_callbacks) each(set_method) each(event_next) each(event_wake) each(event_type) \
    each(event_server) each(event_client) each(event_kind) each(event_window) each(event_process) each(event_worker) \
    each(event_method) each(event_data) each(event_context) each(event_free) each(pump) each(set_wakeup)

#define DECLARE(name) static __typeof__(&wsplug_##name) ws_##name;
FUNCTIONS(DECLARE)

static HMODULE library;

static inline HMODULE load(const char *path)
{
    library = LoadLibraryA(path);
    if (!library)
        failed(__FILE__, __LINE__, "%s cannot be loaded: error %ld", path, (long)GetLastError());
#define FIND(name)                                                                               \
    ws_##name = (__typeof__(ws_##name))(uintptr_t)GetProcAddress(library, "wsplug_" #name);      \
    CHECK(ws_##name);
    FUNCTIONS(FIND)
    return library;
}

/* First of all. */
static inline void begin(const char *path)
{
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    CloseHandle(CreateThread(NULL, 0, watchdog, NULL, 0, NULL));
    load(path);
    CHECK_INT(ws_abi_version(), WSPLUG_ABI_VERSION);
}

/* ---- commands ---- */

static char reply[65536]; /* of the last command that asked for it */
static char *replied;

/* The reply of the command whose last argument is &replied. */
#define DONE(command) finish_command(__FILE__, __LINE__, #command, (command), WSPLUG_OK)
#define REFUSED(status, command) finish_command(__FILE__, __LINE__, #command, (command), (status))

static inline void finish_command(const char *file, int line, const char *command, int32_t status, int32_t expected)
{
    snprintf(reply, sizeof reply, "%s", replied ? replied : "");
    ws_free(replied);
    replied = NULL;
    if (status != expected)
        failed(file, line, "%s: %d (%s), not %d; %s", command, (int)status, ws_status_text(status), (int)expected, reply);
}

/* In printf's manner, with ' for each ". Valid until three more are made. */
__attribute__((format(printf, 1, 2))) static inline const char *json(const char *format, ...)
{
    static char texts[4][4096];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    va_list arguments;
    va_start(arguments, format);
    CHECK(vsnprintf(text, sizeof texts[0], format, arguments) < (int)sizeof texts[0]);
    va_end(arguments);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    return text;
}

static inline int number_in(const char *text, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    CHECK_HAS(text, key);
    return atoi(strstr(text, key) + strlen(key));
}

/* A server that listens; *port is told. */
static inline int32_t serve(const char *options, int *port)
{
    int32_t server = 0;
    DONE(ws_server_create(options, &server, &replied));
    DONE(ws_server_start(server, NULL, &replied));
    *port = number_in(reply, "port");
    return server;
}

/* A client that is connected. */
static inline int32_t dial(const char *options)
{
    int32_t client = 0;
    DONE(ws_client_create(options, &client, &replied));
    DONE(ws_client_start(client, NULL, &replied));
    return client;
}

static inline int32_t dial_port(int port)
{
    return dial(json("{'url':'ws://127.0.0.1:%d/','enableAutomaticReconnection':false}", port));
}

/* ---- events ---- */

struct event {
    struct event *next;
    int32_t server, client, kind, length;
    char type[16];
    char *data; /* of a message its bytes, else the context */
    DWORD thread;
};

static struct event *events, **events_end = &events;
static SRWLOCK events_lock = SRWLOCK_INIT;
static CONDITION_VARIABLE events_more = CONDITION_VARIABLE_INIT;

static inline void keep(int32_t server, int32_t client, const char *type, int32_t kind, const void *data, int32_t length)
{
    struct event *event = calloc(1, sizeof *event);
    event->server = server, event->client = client, event->kind = kind, event->length = length;
    snprintf(event->type, sizeof event->type, "%s", type);
    event->data = calloc(1, (size_t)length + 1);
    memcpy(event->data, data, (size_t)length);
    event->thread = GetCurrentThreadId();
    AcquireSRWLockExclusive(&events_lock);
    *events_end = event;
    events_end = &event->next;
    ReleaseSRWLockExclusive(&events_lock);
    WakeAllConditionVariable(&events_more);
}

static inline void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context, const char *worker,
                                       int32_t window, int32_t process, void *user_data)
{
    (void)worker, (void)window, (void)process, (void)user_data;
    keep(server, client, type, 0, context, (int32_t)strlen(context));
}

static inline void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                         void *user_data)
{
    (void)user_data;
    keep(server, client, "message", kind, data, length);
}

/* Sends everything back: for wsplug_set_method. */
static inline void WSPLUG_API echo(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length, void *user_data)
{
    (void)user_data;
    if (server)
        ws_client_send(client, kind, data, length, NULL);
}

static enum { CALLED, PULLED, PUMPED } delivery;

static inline bool matches(const struct event *event, const char *type, bool of_server)
{
    return !strcmp(event->type, type) && (event->server != 0) == of_server;
}

/* Takes the first such event of a server, or of a client of our own, and keeps the others. It is leaked: the program is short. */
static inline struct event *await(const char *type, bool of_server)
{
    ULONGLONG deadline = GetTickCount64() + PATIENCE_MS;
    while (GetTickCount64() < deadline) {
        AcquireSRWLockExclusive(&events_lock);
        for (struct event **at = &events; *at; at = &(*at)->next) {
            struct event *event = *at;
            if (!matches(event, type, of_server))
                continue;
            *at = event->next;
            if (events_end == &event->next)
                events_end = at;
            ReleaseSRWLockExclusive(&events_lock);
            return event;
        }
        if (delivery == CALLED)
            SleepConditionVariableSRW(&events_more, &events_lock, 1000, 0);
        ReleaseSRWLockExclusive(&events_lock);
        if (delivery == PUMPED)
            CHECK(ws_pump(1000, 0) >= 0);
        wsplug_event *pulled;
        if (delivery == PULLED && ws_event_next(1000, &pulled) == WSPLUG_OK) {
            int32_t length = 0;
            const void *data = ws_event_data(pulled, &length);
            const char *context = ws_event_context(pulled);
            bool is_message = !strcmp(ws_event_type(pulled), "message");
            keep(ws_event_server(pulled), ws_event_client(pulled), ws_event_type(pulled), 0, is_message ? data : context,
                 is_message ? length : (int32_t)strlen(context));
            ws_event_free(pulled);
        }
    }
    failed(__FILE__, __LINE__, "no \"%s\" of a %s came", type, of_server ? "server" : "client");
    return NULL;
}

#endif
