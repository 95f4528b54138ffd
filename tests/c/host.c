/* A host whose every step a test decides: it carries out the lines that come on stdin and answers with JSON lines
   on stdout. It leaves all signals as they are, and does not know what any test wants to see.

   A line is  tag TAB command TAB arguments.  A command that begins with '&' runs in a thread of its own, one that
   begins with '-' asks for no reply. A text of "~" is NULL. Data is  =text  %hex  *count  #size (numbered by
   "repeat")  or  ~ . In a command of "on", @s and @c stand for the refs of the event, in one of "repeat"
   @i for the turn. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "wsplug.h"

/* ---- words ---- */

struct call {
    char *word[8]; /* of the line; what is not there is NULL */
    const char *rest; /* the command inside "on", "repeat" and "fork" */
    int32_t ref, length, done;
    char *reply, *own, *buffer; /* the library's text, ours, data */
    char **want; /* &reply, or NULL */
    const char *tag;
    int32_t number; /* of this turn of "repeat" */
};

static int32_t perform(struct call *c);

static const char *text(const struct call *c, int i)
{
    return c->word[i] && strcmp(c->word[i], "~") ? c->word[i] : NULL;
}

static int32_t number(const struct call *c, int i)
{
    return c->word[i] ? (int32_t)strtol(c->word[i], NULL, 10) : 0;
}

static int32_t *out(struct call *c, int i)
{
    return c->word[i] && !strcmp(c->word[i], "~") ? NULL : &c->ref;
}

/* Sets c->length too, which the word `i + extra` may override: a length that does not belong to the data. */
static const void *data(struct call *c, int i, int extra)
{
    const char *word = c->word[i] ? c->word[i] : "~";
    long size = strtol(word + 1, NULL, 10);
    if (*word == '=') {
        c->length = (int32_t)strlen(word + 1);
        c->buffer = strdup(word + 1);
    } else if (*word == '%') {
        c->length = (int32_t)strlen(word + 1) / 2;
        c->buffer = malloc((size_t)c->length + 1);
        for (int at = 0; at < c->length; at++) {
            unsigned byte = 0;
            sscanf(word + 1 + 2 * at, "%2x", &byte);
            c->buffer[at] = (char)byte;
        }
    } else if (*word == '*' || *word == '#') {
        c->length = (int32_t)size;
        c->buffer = malloc((size_t)size + 16);
        memset(c->buffer, '.', (size_t)size + 16);
        if (*word == '#') {
            int digits = sprintf(c->buffer, "%d", c->number);
            c->buffer[digits] = '.';
        }
    }
    if (c->word[i + extra]) c->length = number(c, i + extra);
    return c->buffer;
}

/* ---- what goes out ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int in_child;

static void enter(void) { if (!in_child) pthread_mutex_lock(&lock); }
static void leave(void) { if (!in_child) pthread_mutex_unlock(&lock); }

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    enter();
    for (ssize_t sent = 0, n = 0; sent < length && n >= 0; sent += n)
        n = write(1, line + sent, (size_t)(length - sent));
    leave();
    free(line);
}

static long now_ms(void)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As a JSON string; the caller frees it. */
static char *quoted(const char *words)
{
    char *result = malloc(6 * strlen(words ? words : "") + 3), *to = result;
    *to++ = '"';
    for (const unsigned char *from = (const unsigned char *)(words ? words : ""); *from; from++)
        to += sprintf(to, *from < ' ' || *from == '"' || *from == '\\' ? "\\u%04x" : "%c", *from);
    strcpy(to, "\"");
    return result;
}

/* ---- events ---- */

static struct { char name[16]; long count; int quiet; } types[32];
static struct { long count, sum, last, disorder; } senders[65536]; /* numbered messages, by the client's ref */
static struct rule { char *type, *line, *tag; int left; struct rule *next; } *rules;

static int type_index(const char *type)
{
    int i = 0;
    while (types[i].name[0] && strcmp(types[i].name, type)) i++;
    snprintf(types[i].name, sizeof types[i].name, "%s", type);
    return i;
}

/* With a number for each @ and letter; the caller frees it. */
static char *replaced(const char *line, char letter, int32_t value)
{
    char *result = malloc(strlen(line) * 6 + 1), *to = result;
    for (; *line; line++)
        if (*line == '@' && line[1] == letter)
            to += sprintf(to, "%d", value), line++;
        else
            *to++ = *line;
    *to = 0;
    return result;
}

static void run(char *line, const char *tag);

static void obey_rules(int32_t server, int32_t client, const char *type)
{
    for (struct rule *rule = rules; rule; rule = rule->next) {
        enter();
        int due = rule->left && !strcmp(rule->type, type);
        if (due && rule->left > 0) rule->left--;
        leave();
        if (!due) continue;
        char *half = replaced(rule->line, 's', server), *line = replaced(half, 'c', client);
        run(line, rule->tag);
        free(line);
        free(half);
    }
}

static void happened(const char *how, int32_t server, int32_t client, const char *type, const char *context,
                     const char *worker, int32_t window, int32_t process)
{
    enter();
    int index = type_index(type), quiet = types[index].quiet;
    types[index].count++;
    leave();
    if (!quiet) {
        char *name = quoted(worker);
        say("{\"event\":\"%s\",\"how\":\"%s\",\"server\":%d,\"client\":%d,\"t\":%ld,\"worker\":%s,\"window\":%d,"
            "\"process\":%d,\"context\":%s}\n", type, how, server, client, now_ms(), name, window, process,
            context && *context ? context : "null");
        free(name);
    }
    obey_rules(server, client, type);
}

static void message(const char *how, int32_t server, int32_t client, int32_t kind, const void *bytes, int32_t length)
{
    const char *type = kind == WSPLUG_PING ? "ping" : kind == WSPLUG_PONG ? "pong" : "message";
    const unsigned char *from = bytes;
    enter();
    int index = type_index(type), quiet = types[index].quiet;
    types[index].count++;
    if (length > 0 && *from >= '0' && *from <= '9' && client >= 0) {
        char digits[16] = {0};
        memcpy(digits, from, (size_t)(length < 15 ? length : 15));
        long at = strtol(digits, NULL, 10);
        unsigned slot = (unsigned)client % 65536;
        if (senders[slot].count && at != senders[slot].last + 1) senders[slot].disorder++;
        senders[slot].count++, senders[slot].sum += at, senders[slot].last = at;
    }
    leave();
    if (!quiet) {
        char hex[257] = "";
        unsigned long long hash = 14695981039346656037ull; /* FNV-1a */
        for (int32_t i = 0; i < length; i++) hash = (hash ^ from[i]) * 1099511628211ull;
        for (int i = 0; i < 128 && i < length; i++) sprintf(hex + 2 * i, "%02x", from[i]);
        say("{\"event\":\"%s\",\"how\":\"%s\",\"server\":%d,\"client\":%d,\"t\":%ld,\"kind\":%d,\"length\":%d,"
            "\"hex\":\"%s\",\"hash\":\"%016llx\"}\n", type, how, server, client, now_ms(), kind, length, hex, hash);
    }
    obey_rules(server, client, type);
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    happened(user_data ? user_data : "callback", server, client, type, context, worker, window, process);
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *bytes, int32_t length,
                                  void *user_data)
{
    message(user_data ? user_data : "callback", server, client, kind, bytes, length);
}

static void WSPLUG_API echo_event(int32_t server, int32_t client, const char *type, const char *context,
                                  const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)client, (void)type, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
}

static void WSPLUG_API echo_message(int32_t server, int32_t client, int32_t kind, const void *bytes, int32_t length,
                                    void *user_data)
{
    (void)server, (void)user_data;
    if (kind == WSPLUG_TEXT || kind == WSPLUG_BINARY) wsplug_client_send(client, kind, bytes, length, NULL);
}

static void WSPLUG_API on_log(int32_t level, const char *words, void *user_data)
{
    char *line = quoted(words);
    say("{\"event\":\"log\",\"how\":\"%s\",\"level\":%d,\"t\":%ld,\"message\":%s}\n",
        user_data ? "" : "callback", level, now_ms(), line);
    free(line);
}

static void WSPLUG_API on_wakeup(void *user_data)
{
    happened(user_data, 0, 0, "wakeup", NULL, "", 0, 0);
}

/* Whether there is something to read; -1 if it is no file. */
static int32_t readable(int fd, int32_t timeout_ms)
{
    struct pollfd polled = {fd, POLLIN, 0};
    return poll(&polled, 1, timeout_ms) == 1 && polled.revents & POLLNVAL ? -1 : polled.revents & POLLIN;
}

static int32_t pull(int32_t timeout_ms)
{
    wsplug_event *event = NULL;
    int32_t status = wsplug_event_next(timeout_ms, &event), length = 0;
    if (status != WSPLUG_OK) return status;
    const char *type = wsplug_event_type(event);
    int32_t server = wsplug_event_server(event), client = wsplug_event_client(event);
    const void *bytes = wsplug_event_data(event, &length);
    if (!strcmp(type, "message"))
        message("pull", server, client, wsplug_event_kind(event), bytes, length);
    else
        happened("pull", server, client, type, wsplug_event_context(event), wsplug_event_worker(event),
                 wsplug_event_window(event), wsplug_event_process(event));
    wsplug_event_free(event);
    return status;
}

/* ---- loops that look for events ---- */

static struct { pthread_t thread; int32_t timeout_ms, pumps; } loops[8];
static int loop_count;
static int halting;

static void *look(void *argument)
{
    int index = (int)(intptr_t)argument;
    int32_t status = 0;
    while (!__atomic_load_n(&halting, __ATOMIC_ACQUIRE) && status >= 0)
        status = loops[index].pumps ? wsplug_pump(loops[index].timeout_ms, 64) : pull(loops[index].timeout_ms);
    say("{\"event\":\"loop\",\"status\":%d}\n", status);
    return NULL;
}

static int32_t halt(void)
{
    __atomic_store_n(&halting, 1, __ATOMIC_RELEASE);
    wsplug_event_wake();
    for (int i = 0; i < loop_count; i++) pthread_join(loops[i].thread, NULL);
    loop_count = halting = 0;
    return 0;
}

/* ---- names and a clock of the test's own: the machine's are not ours to change ---- */

static struct { char name[64], addresses[128]; int delay_ms; } names[8]; /* no address: the name does not exist */
static int name_count;
static long step_seconds;

static struct addrinfo *address(const char *words, const struct addrinfo *hints)
{
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in6)); /* as freeaddrinfo expects it */
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(info + 1);
    struct sockaddr_in *four = (struct sockaddr_in *)(info + 1);
    info->ai_family = strchr(words, ':') ? AF_INET6 : AF_INET;
    info->ai_socktype = hints && hints->ai_socktype ? hints->ai_socktype : SOCK_STREAM;
    info->ai_protocol = IPPROTO_TCP;
    info->ai_addr = (struct sockaddr *)(info + 1);
    info->ai_addrlen = info->ai_family == AF_INET6 ? sizeof *six : sizeof *four;
    info->ai_addr->sa_family = (sa_family_t)info->ai_family;
    inet_pton(info->ai_family, words, info->ai_family == AF_INET6 ? (void *)&six->sin6_addr : (void *)&four->sin_addr);
    return info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    int i = 0;
    while (i < name_count && (!node || strcmp(names[i].name, node))) i++;
    if (i == name_count) {
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(node, service, hints, result);
    }
    usleep((useconds_t)names[i].delay_ms * 1000);
    char *list = strdup(names[i].addresses), *next = list, *one;
    struct addrinfo **end = result;
    *result = NULL;
    while ((one = strsep(&next, ",")) && *one) {
        *end = address(one, hints);
        end = &(*end)->ai_next;
    }
    free(list);
    return *result ? 0 : EAI_NONAME;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME) time->tv_sec += __atomic_load_n(&step_seconds, __ATOMIC_RELAXED);
    return result;
}

/* ---- commands ---- */

static char *tally(void)
{
    char *reply = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&reply, &size);
    enter();
    fputs("{\"types\":{", file);
    for (int i = 0; types[i].name[0]; i++) fprintf(file, "%s\"%s\":%ld", i ? "," : "", types[i].name, types[i].count);
    fputs("},\"senders\":{", file);
    for (int i = 0, some = 0; i < 65536; i++)
        if (senders[i].count)
            fprintf(file, "%s\"%d\":{\"count\":%ld,\"sum\":%ld,\"disorder\":%ld}", some++ ? "," : "", i,
                    senders[i].count, senders[i].sum, senders[i].disorder);
    leave();
    fputs("}}", file);
    fclose(file);
    return reply;
}

static int32_t add_rule(struct call *c)
{
    struct rule *rule = calloc(1, sizeof *rule), **end = &rules;
    rule->type = strdup(c->word[1]);
    rule->left = number(c, 2);
    rule->line = strdup(c->rest);
    if (asprintf(&rule->tag, "%s!", c->tag) < 0) abort();
    enter();
    while (*end) end = &(*end)->next;
    *end = rule;
    leave();
    return 0;
}

/* Until one fails; "done" tells how many did not. */
static int32_t repeat(struct call *c)
{
    int32_t status = 0;
    for (int32_t turn = number(c, 1); turn < number(c, 2) && status >= 0; turn++) {
        char *copy = replaced(c->rest, 'i', turn), *next = copy;
        struct call one = {.tag = c->tag, .number = turn};
        for (int i = 0; i < 8 && next; i++) one.word[i] = strsep(&next, "\t");
        if (c->want) wsplug_free(c->reply), c->reply = NULL, one.want = &one.reply;
        status = perform(&one);
        c->done += status >= 0;
        c->reply = one.reply;
        c->ref = one.ref;
        free(one.buffer);
        free(copy);
    }
    return status;
}

static int32_t in_a_child(struct call *c)
{
    int status = 0;
    pid_t child = fork();
    if (!child) {
        in_child = 1;
        alarm(10);
        char *line = strdup(c->rest);
        run(line, "child");
        _exit(0);
    }
    waitpid(child, &status, 0);
    return status;
}

static int32_t null_event(void)
{
    int32_t length = 7;
    int zeros = !wsplug_event_server(NULL) + !wsplug_event_client(NULL) + !wsplug_event_kind(NULL)
        + !wsplug_event_window(NULL) + !wsplug_event_process(NULL) + !wsplug_event_data(NULL, &length)
        + !wsplug_event_data(NULL, NULL) + !length;
    wsplug_event_type(NULL), wsplug_event_context(NULL), wsplug_event_worker(NULL), wsplug_event_method(NULL);
    wsplug_event_free(NULL);
    wsplug_free(NULL);
    return zeros;
}

/* client, time-out, capacity, "~" for no buffer; the reply has the kind, the length and the text. */
static int32_t receive(struct call *c)
{
    int32_t room = number(c, 3), kind = -1, length = -1;
    char *buffer = calloc(1, room > 0 ? (size_t)room + 1 : 1), *words;
    int32_t status = wsplug_client_receive(number(c, 1), number(c, 2), &kind, c->word[4] ? NULL : buffer, room, &length);
    words = quoted(buffer);
    if (asprintf(&c->own, "{\"kind\":%d,\"length\":%d,\"text\":%s}", kind, length, words) < 0) abort();
    free(words);
    free(buffer);
    return status;
}

static int32_t value(struct call *c, int32_t (WSPLUG_API *get)(int32_t, const char *, char **))
{
    char *text_of_it = NULL;
    int32_t status = get(number(c, 1), text(c, 2), out(c, 3) ? &text_of_it : NULL);
    c->own = text_of_it ? quoted(text_of_it) : NULL;
    wsplug_free(text_of_it);
    return status;
}

static int32_t limit_files(rlim_t files)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = files;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

/* So many KiB more of data than there are now; negative: as much as there may be. */
static int32_t limit_memory(int32_t more)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) != 1) return -1;
    fclose(file);
    getrlimit(RLIMIT_DATA, &limit);
    limit.rlim_cur = more < 0 ? limit.rlim_max : pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)more * 1024;
    return setrlimit(RLIMIT_DATA, &limit);
}

static int32_t perform(struct call *c)
{
#define IS(name) if (!strcmp(c->word[0], name))
    IS("abi_version") return wsplug_abi_version();
    IS("init") return wsplug_init(text(c, 1), c->want);
    IS("shutdown") return wsplug_shutdown(number(c, 1));
    IS("info") return wsplug_info(c->want);
    IS("log") return wsplug_set_log_callback(number(c, 1), text(c, 2) ? NULL : on_log, NULL);
    IS("status_text") return c->own = quoted(wsplug_status_text(number(c, 1))), 0;
    IS("text_copy") return wsplug_text_copy(text(c, 1), out(c, 2) ? (char[64]){0} : NULL, number(c, 3));

    IS("server_create") return wsplug_server_create(text(c, 1), out(c, 2), c->want);
    IS("server_start") return wsplug_server_start(number(c, 1), text(c, 2), c->want);
    IS("server_stop") return wsplug_server_stop(number(c, 1), text(c, 2), c->want);
    IS("server_send") {
        const void *bytes = data(c, 3, 2);
        return wsplug_server_send(number(c, 1), number(c, 2), bytes, c->length, text(c, 4), c->want);
    }
    IS("server_clear") return wsplug_server_clear(number(c, 1), c->want);
    IS("server_clients") return wsplug_server_clients(number(c, 1), c->want);
    IS("server_info") return wsplug_server_info(number(c, 1), c->want);
    IS("server_set") return wsplug_server_set(number(c, 1), text(c, 2), c->want);
    IS("server_execute") return wsplug_server_execute(number(c, 1), text(c, 2), text(c, 3), c->want);
    IS("server_set_value") return wsplug_server_set_value(number(c, 1), text(c, 2), text(c, 3));
    IS("server_get_value") return value(c, wsplug_server_get_value);
    IS("server_messages") return wsplug_server_messages(number(c, 1), text(c, 2), c->want);

    IS("client_create") return wsplug_client_create(text(c, 1), out(c, 2), c->want);
    IS("client_start") return wsplug_client_start(number(c, 1), text(c, 2), c->want);
    IS("client_stop") return wsplug_client_stop(number(c, 1), text(c, 2), c->want);
    IS("client_send") {
        const void *bytes = data(c, 3, 1);
        return wsplug_client_send(number(c, 1), number(c, 2), bytes, c->length, c->want);
    }
    IS("client_send_with") {
        const void *bytes = data(c, 3, 2);
        return wsplug_client_send_with(number(c, 1), number(c, 2), bytes, c->length, text(c, 4), c->want);
    }
    IS("client_accept") return wsplug_client_accept(number(c, 1), text(c, 2), c->want);
    IS("client_reject") return wsplug_client_reject(number(c, 1), text(c, 2), c->want);
    IS("client_clear") return wsplug_client_clear(number(c, 1), c->want);
    IS("client_info") return wsplug_client_info(number(c, 1), c->want);
    IS("client_execute") return wsplug_client_execute(number(c, 1), text(c, 2), text(c, 3), c->want);
    IS("client_set_value") return wsplug_client_set_value(number(c, 1), text(c, 2), text(c, 3));
    IS("client_get_value") return value(c, wsplug_client_get_value);
    IS("client_messages") return wsplug_client_messages(number(c, 1), text(c, 2), c->want);

    IS("client_subscribe") return wsplug_client_subscribe(number(c, 1), text(c, 2), c->want);
    IS("client_unsubscribe") return wsplug_client_unsubscribe(number(c, 1), text(c, 2), c->want);
    IS("server_publish") {
        const void *bytes = data(c, 4, 2);
        return wsplug_server_publish(number(c, 1), text(c, 2), number(c, 3), bytes, c->length, text(c, 5), c->want);
    }

    IS("client_find") return wsplug_client_find(text(c, 1), out(c, 2));
    IS("client_receive") return receive(c);

    IS("callbacks") return wsplug_set_callbacks(strchr(c->word[1], 'e') ? on_event : NULL,
                                                strchr(c->word[1], 'm') ? on_message : NULL, NULL);
    IS("echo_method") return wsplug_set_method(text(c, 1), echo_event, echo_message, NULL);
    IS("method") return wsplug_set_method(text(c, 1), on_event, on_message, "method");
    IS("set_wakeup") return wsplug_set_wakeup(text(c, 1), text(c, 2) ? on_wakeup : NULL, "wake-up", c->want);
    IS("readable") return readable(number(c, 1), number(c, 2));
    IS("event_next") return out(c, 2) ? pull(number(c, 1)) : wsplug_event_next(number(c, 1), NULL);
    IS("pump") return wsplug_pump(number(c, 1), number(c, 2));
    IS("null_event") return null_event();

    IS("loop") {
        int i = loop_count++;
        loops[i].pumps = !strcmp(c->word[1], "pump");
        loops[i].timeout_ms = number(c, 2);
        return pthread_create(&loops[i].thread, NULL, look, (void *)(intptr_t)i);
    }
    IS("halt") return halt();
    IS("on") return add_rule(c);
    IS("repeat") return repeat(c);
    IS("fork") return in_a_child(c);
    IS("exit") exit(number(c, 1));
    IS("sleep") return usleep((useconds_t)number(c, 1) * 1000);
    IS("quiet") {
        enter();
        types[type_index(c->word[1])].quiet = 1;
        leave();
        return 0;
    }
    IS("tally") return c->own = tally(), 0;
    IS("limit_files") return limit_files((rlim_t)number(c, 1));
    IS("limit_memory") return limit_memory(number(c, 1));
    IS("become") return setuid((uid_t)number(c, 1));
    IS("name") {
        snprintf(names[name_count].name, sizeof names->name, "%s", c->word[1]);
        snprintf(names[name_count].addresses, sizeof names->addresses, "%s", c->word[3] ? c->word[3] : "");
        names[name_count++].delay_ms = number(c, 2);
        return 0;
    }
    IS("trim") return malloc_trim(0); /* what the C library keeps for later is no leak */
    IS("step_clock") return __atomic_add_fetch(&step_seconds, number(c, 1), __ATOMIC_RELAXED), 0;
    say("{\"event\":\"unknown command\",\"message\":\"%s\"}\n", c->word[0]);
    return 0;
#undef IS
}

static void *run_aside(void *argument)
{
    char *line = argument, *next = line;
    const char *tag = strsep(&next, "\t");
    run(next, tag);
    free(line);
    return NULL;
}

/* Carries out a line without its tag, which it takes apart. */
static void run(char *line, const char *tag)
{
    struct call c = {.tag = tag};
    int wants = *line != '-';
    if (*line == '&') {
        char *copy = NULL;
        pthread_t thread;
        if (asprintf(&copy, "%s\t%s", tag, line + 1) < 0) abort();
        if (!pthread_create(&thread, NULL, run_aside, copy)) pthread_detach(thread);
        return;
    }
    line += !wants;
    int skip = !strncmp(line, "fork\t", 5) ? 1 : !strncmp(line, "on\t", 3) || !strncmp(line, "repeat\t", 7) ? 3 : 0;
    char *copy = skip ? strdup(line) : NULL, *next = line;
    c.rest = copy;
    while (skip--) c.rest = strchr(c.rest, '\t') + 1;
    for (int i = 0; i < 8 && next; i++) c.word[i] = strsep(&next, "\t");
    if (wants) c.want = &c.reply;
    int32_t status = perform(&c);
    const char *reply = c.own ? c.own : c.reply;
    say("{\"tag\":\"%s\",\"status\":%d,\"ref\":%d,\"done\":%d,\"t\":%ld,\"reply\":%s}\n", tag, status, c.ref, c.done,
        now_ms(), reply && *reply ? reply : "null");
    wsplug_free(c.reply);
    free(c.own);
    free(c.buffer);
    free(copy);
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    int code = 0;
    while ((length = getline(&line, &size, stdin)) > 0) {
        line[length - 1] = 0;
        char *next = line;
        const char *tag = strsep(&next, "\t");
        if (!strncmp(next, "return", 6)) {
            code = atoi(next + 7);
            break;
        }
        run(next, tag);
        if (size > 1 << 20) free(line), line = NULL, size = 0;
    }
    free(line);
    return code;
}
