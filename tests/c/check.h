/*
 * What every C test uses: checks that end the program, options and replies as JSON, and events with a deadline.
 * A program that finds nothing wrong prints nothing and exits with 0.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "wsplug.h"

/* ---- checks: on failure, where and what to stderr, and out ---- */

#define CHECK(condition) ((condition) ? (void)0 : failed(__FILE__, __LINE__, "%s", #condition))
#define CHECK_INT(actual, expected) check_int(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected))
#define CHECK_TEXT(actual, expected) check_text(__FILE__, __LINE__, #actual, (actual), (expected))
/* The value at `path` in the JSON text is the literal `expected`, quotes written as '. */
#define CHECK_JSON(text, path, expected) check_json(__FILE__, __LINE__, (text), (path), (expected))
/* The object at `path` has exactly these members, separated by blanks, in any order. */
#define CHECK_MEMBERS(text, path, names) check_members(__FILE__, __LINE__, (text), (path), (names))

__attribute__((noreturn, format(printf, 3, 4)))
static inline void failed(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(1);
}

static inline void check_int(const char *file, int line, const char *what, long long actual, long long expected)
{
    if (actual != expected)
        failed(file, line, "%s is %lld, not %lld", what, actual, expected);
}

static inline void check_text(const char *file, int line, const char *what, const char *actual, const char *expected)
{
    if (actual == NULL || strcmp(actual, expected) != 0)
        failed(file, line, "%s is \"%s\", not \"%s\"", what, actual == NULL ? "NULL" : actual, expected);
}

/* ---- time ---- */

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How much slower than usual the program runs, under valgrind and the like; the test that runs it says so. */
static inline int slowness(void)
{
    const char *given = getenv("WSPLUG_TEST_SLOWNESS");
    return given == NULL ? 1 : atoi(given);
}

static inline int64_t allowed_ms(int64_t ms)
{
    return ms * slowness();
}

/* How long an event may take before it counts as lost. */
#define PATIENCE_MS allowed_ms(10000)

/* ---- JSON ---- */

/* A JSON text in printf's manner, with ' for each ". Valid until this thread has made seven more. */
__attribute__((format(printf, 1, 2)))
static inline const char *json(const char *format, ...)
{
    static __thread char texts[8][4096];
    static __thread unsigned turn;
    char *text = texts[turn++ % 8];
    va_list arguments;
    va_start(arguments, format);
    CHECK(vsnprintf(text, sizeof texts[0], format, arguments) < (int)sizeof texts[0]);
    va_end(arguments);
    for (char *c = text; *c != 0; c++)
        if (*c == '\'')
            *c = '"';
    return text;
}

static inline const char *json_blank(const char *at)
{
    return at + strspn(at, " \t\r\n,:");
}

/* The end of the value that starts at `at`. */
static inline const char *json_end(const char *at)
{
    int depth = 0;
    do {
        if (*at == '"') {
            for (at++; *at != '"'; at++) {
                CHECK(*at != 0);
                if (*at == '\\')
                    at++;
            }
            at++;
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else {
            size_t length = strcspn(at, " \t\r\n,:]}");
            CHECK(length > 0);
            at += length;
        }
        if (depth > 0)
            at = json_blank(at);
    } while (depth > 0);
    return at;
}

/* The value at `path` ("error.code", "headers.Host", "0.client"; "" is all of it), or NULL. */
static inline const char *json_at(const char *text, const char *path)
{
    if (text == NULL)
        return NULL;
    const char *at = json_blank(text);
    while (*path != 0) {
        size_t length = strcspn(path, ".");
        bool is_object = *at == '{';
        if (!is_object && *at != '[')
            return NULL;
        long index = is_object ? -1 : strtol(path, NULL, 10);
        for (at = json_blank(at + 1);; at = json_blank(json_end(at))) {
            if (*at == '}' || *at == ']')
                return NULL;
            if (!is_object) {
                if (index-- == 0)
                    break;
                continue;
            }
            bool found = strncmp(at + 1, path, length) == 0 && at[length + 1] == '"';
            at = json_blank(json_end(at));
            if (found)
                break;
        }
        path += length;
        path += *path == '.';
    }
    return at;
}

static inline bool json_has(const char *text, const char *path)
{
    return json_at(text, path) != NULL;
}

static inline long long json_int(const char *text, const char *path)
{
    const char *at = json_at(text, path);
    if (at == NULL || strchr("-0123456789", *at) == NULL)
        failed(__FILE__, __LINE__, "no number \"%s\" in %s", path, text == NULL ? "NULL" : text);
    return strtoll(at, NULL, 10);
}

/* The text at `path`, unescaped as far as tests need. Valid until this thread has asked for seven more. */
static inline const char *json_text(const char *text, const char *path)
{
    static __thread char texts[8][4096];
    static __thread unsigned turn;
    char *copy = texts[turn++ % 8];
    size_t length = 0;
    const char *at = json_at(text, path);
    if (at == NULL || *at != '"')
        failed(__FILE__, __LINE__, "no text \"%s\" in %s", path, text == NULL ? "NULL" : text);
    for (at++; *at != '"' && length + 1 < sizeof texts[0]; at++) {
        if (*at == '\\')
            at++;
        copy[length++] = *at;
    }
    copy[length] = 0;
    return copy;
}

/* How many members or elements the value at `path` has. */
static inline int json_count(const char *text, const char *path)
{
    const char *at = json_at(text, path);
    CHECK(at != NULL && (*at == '{' || *at == '['));
    bool is_object = *at == '{';
    int count = 0;
    for (at = json_blank(at + 1); *at != '}' && *at != ']'; at = json_blank(json_end(at)))
        count++;
    return is_object ? count / 2 : count;
}

static inline void check_json(const char *file, int line, const char *text, const char *path, const char *expected)
{
    const char *wanted = json("%s", expected);
    const char *at = json_at(text, path);
    if (at == NULL)
        failed(file, line, "no \"%s\" in %s", path, text == NULL ? "NULL" : text);
    size_t length = (size_t)(json_end(at) - at);
    if (strlen(wanted) != length || strncmp(at, wanted, length) != 0)
        failed(file, line, "\"%s\" is not %s in %s", path, wanted, text);
}

static inline void check_members(const char *file, int line, const char *text, const char *path, const char *names)
{
    char member[256];
    int count = 0;
    for (const char *at = names; *at != 0; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        snprintf(member, sizeof member, "%s%s%.*s", path, *path == 0 ? "" : ".", (int)length, at);
        if (!json_has(text, member))
            failed(file, line, "no \"%s\" in %s", member, text == NULL ? "NULL" : text);
        at += length;
        count++;
    }
    if (json_count(text, path) != count)
        failed(file, line, "\"%s\" has other members than %s: %s", path, names, text);
}

/* ---- commands ---- */

/* The reply of this thread's last command that was called with replied(). */
static __thread char *reply;

static inline char **replied(void)
{
    wsplug_free(reply);
    reply = NULL;
    return &reply;
}

#define DONE(command) done(__FILE__, __LINE__, #command, (command), WSPLUG_OK)
#define REFUSED(status, command) done(__FILE__, __LINE__, #command, (command), (status))

static inline void done(const char *file, int line, const char *command, int32_t status, int32_t expected)
{
    if (status != expected)
        failed(file, line, "%s: %d (%s), not %d; %s", command, status, wsplug_status_text(status), expected,
               reply == NULL ? "no reply" : reply);
}

static inline int32_t new_server(const char *options)
{
    int32_t server = 0;
    DONE(wsplug_server_create(options, &server, replied()));
    CHECK(server < 0);
    return server;
}

static inline int32_t new_client(const char *options)
{
    int32_t client = 0;
    DONE(wsplug_client_create(options, &client, replied()));
    CHECK(client > 0);
    return client;
}

/* Starts a server and returns its port. */
static inline int started(int32_t server)
{
    DONE(wsplug_server_start(server, NULL, replied()));
    CHECK_JSON(reply, "success", "true");
    int port = (int)json_int(reply, "port");
    CHECK(port > 0 && port < 65536);
    return port;
}

/* A client of our own, connected to the port. */
static inline int32_t connected(int port)
{
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/'}", port));
    DONE(wsplug_client_start(client, NULL, replied()));
    CHECK_JSON(reply, "success", "true");
    return client;
}

static inline int32_t send_text(int32_t client, const char *text)
{
    return wsplug_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), replied());
}

/* The options for a way in which callbacks are run; "affinity" is perConnection with it. */
static inline const char *dispatched(const char *mode)
{
    return strcmp(mode, "affinity") == 0 ? "'dispatch':'perConnection','affinity':true" : json("'dispatch':'%s'", mode);
}

/* ---- events ---- */

struct event {
    struct event *next;
    int32_t server, client, kind, window, process, length;
    char type[16], worker[64], method[64];
    char *context; /* NULL for a raw message */
    char *data;
    pthread_t thread;
    void *user_data;
    bool taken;
};

/* How events come to this program: by callbacks on library threads, by wsplug_event_next, or by wsplug_pump. */
static enum { CALLED, PULLED, PUMPED } delivery;

static struct event *events, **events_end = &events;
static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t events_more = PTHREAD_COND_INITIALIZER;

static inline struct event *record(int32_t server, int32_t client, const char *type, const char *context)
{
    struct event *event = calloc(1, sizeof *event);
    event->server = server;
    event->client = client;
    snprintf(event->type, sizeof event->type, "%s", type);
    event->context = context == NULL ? NULL : strdup(context);
    event->thread = pthread_self();
    return event;
}

static inline void publish(struct event *event)
{
    pthread_mutex_lock(&events_lock);
    *events_end = event;
    events_end = &event->next;
    pthread_cond_broadcast(&events_more);
    pthread_mutex_unlock(&events_lock);
}

/* Callbacks that only record. */
static inline void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                       const char *worker, int32_t window, int32_t process, void *user_data)
{
    struct event *event = record(server, client, type, context);
    snprintf(event->worker, sizeof event->worker, "%s", worker);
    event->window = window;
    event->process = process;
    event->user_data = user_data;
    publish(event);
}

static inline void keep_data(struct event *event, int32_t kind, const void *data, int32_t length)
{
    event->kind = kind;
    event->length = length;
    event->data = malloc((size_t)length + 1);
    if (length > 0)
        memcpy(event->data, data, (size_t)length);
    event->data[length] = 0;
}

static inline void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                         void *user_data)
{
    struct event *event = record(server, client, "message", NULL);
    keep_data(event, kind, data, length);
    event->user_data = user_data;
    publish(event);
}

/* Brings what has come within the time, by the way this program gets its events. Must not hold events_lock. */
static inline void fetch(int32_t timeout_ms)
{
    if (delivery == PUMPED) {
        CHECK(wsplug_pump(timeout_ms, 100) >= 0);
        return;
    }
    wsplug_event *pulled = NULL;
    int32_t status = wsplug_event_next(timeout_ms, &pulled);
    if (status == WSPLUG_TIMEOUT)
        return;
    CHECK_INT(status, WSPLUG_OK);
    struct event *event = record(wsplug_event_server(pulled), wsplug_event_client(pulled), wsplug_event_type(pulled),
                                 wsplug_event_context(pulled));
    int32_t length = 0;
    const void *data = wsplug_event_data(pulled, &length);
    keep_data(event, wsplug_event_kind(pulled), data, length);
    snprintf(event->worker, sizeof event->worker, "%s", wsplug_event_worker(pulled));
    snprintf(event->method, sizeof event->method, "%s", wsplug_event_method(pulled));
    event->window = wsplug_event_window(pulled);
    event->process = wsplug_event_process(pulled);
    wsplug_event_free(pulled);
    publish(event);
}

/* The type is the same and the ref, if not 0, is the event's server or client. */
static inline bool is_event(const struct event *event, const char *type, int32_t ref)
{
    return strcmp(event->type, type) == 0 && (ref == 0 || event->server == ref || event->client == ref);
}

/* The first event of this type and ref that no earlier call has returned, or NULL if none comes within the time. */
static inline struct event *event_within(int64_t ms, const char *type, int32_t ref)
{
    int64_t deadline = now_ms() + ms;
    for (;;) {
        pthread_mutex_lock(&events_lock);
        for (struct event *event = events; event != NULL; event = event->next) {
            if (!event->taken && is_event(event, type, ref)) {
                event->taken = true;
                pthread_mutex_unlock(&events_lock);
                return event;
            }
        }
        int64_t left = deadline - now_ms();
        if (left > 0 && delivery == CALLED) {
            struct timespec slice;
            clock_gettime(CLOCK_REALTIME, &slice);
            slice.tv_sec += 1;
            pthread_cond_timedwait(&events_more, &events_lock, &slice);
        }
        pthread_mutex_unlock(&events_lock);
        if (left <= 0)
            return NULL;
        if (delivery != CALLED)
            fetch(left < 1000 ? (int32_t)left : 1000);
    }
}

#define AWAIT(type, ref) await_event(__FILE__, __LINE__, (type), (ref))

static inline struct event *await_event(const char *file, int line, const char *type, int32_t ref)
{
    struct event *event = event_within(PATIENCE_MS, type, ref);
    if (event == NULL)
        failed(file, line, "no \"%s\" of %d came", type, ref);
    return event;
}

/* How many such events have come so far, taken or not. */
static inline int count_events(const char *type, int32_t ref)
{
    int count = 0;
    pthread_mutex_lock(&events_lock);
    for (struct event *event = events; event != NULL; event = event->next)
        count += is_event(event, type, ref);
    pthread_mutex_unlock(&events_lock);
    return count;
}

static inline void forget_events(void)
{
    pthread_mutex_lock(&events_lock);
    while (events != NULL) {
        struct event *next = events->next;
        free(events->context);
        free(events->data);
        free(events);
        events = next;
    }
    events_end = &events;
    pthread_mutex_unlock(&events_lock);
}

/* ---- the program ---- */

static int threads_before, files_before;

static inline void *nothing(void *unused)
{
    return unused;
}

/* First of all: no test hangs for ever, and SIGPIPE would kill. */
static inline void begin(void)
{
    /* ThreadSanitizer starts a thread of its own beside the program's first one. */
    pthread_t first;
    CHECK(pthread_create(&first, NULL, nothing, NULL) == 0 && pthread_join(first, NULL) == 0);
    end_after(allowed_ms(60000));
    CHECK(remember_signals());
    threads_before = threads_now();
    files_before = files_now();
}

/* Last of all: shuts down and checks that the library leaves the process as it was. */
static inline int finish(void)
{
    DONE(wsplug_shutdown((int32_t)PATIENCE_MS));
    wsplug_free(reply);
    reply = NULL;
    forget_events();
    if (changed_signal() != 0)
        failed(__FILE__, __LINE__, "the handler of signal %d was changed", changed_signal());
    /* A joined thread's entry may outlast the join by a moment. */
    int64_t deadline = now_ms() + PATIENCE_MS;
    while (threads_now() > threads_before && now_ms() < deadline)
        sched_yield();
    CHECK(threads_now() <= threads_before); /* so may that of `begin` */
    int files = files_now();
    if (files < files_before || files > files_before + FILES_KEPT)
        failed(__FILE__, __LINE__, "%d files are open, not %d", files, files_before);
    return 0;
}

#endif
