/*
 * Callbacks of different connections run at the same time, those of one never (argument: perConnection, or affinity: each
 * connection on its own thread besides).
 */
#include "raw.h"

#include <stdatomic.h>

enum { CONNECTIONS = 6, MESSAGES = 300, MOST = 4096 };

static bool has_affinity;
static const char *delivered; /* the options that say how */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* What the callbacks know of each context; a server's own has its ref, which is negative. */
static struct context {
    pthread_t thread; /* of the first event */
    bool is_known, is_inside, is_held;
    int last; /* numbered message */
} contexts[MOST];
static int inside, most_inside, met, to_meet, released;
static int32_t to_clear; /* by the callback of the other one */

static struct context *context_of(int32_t server, int32_t client)
{
    int32_t ref = client != 0 ? client : MOST + server;
    CHECK(ref > 0 && ref < MOST);
    return &contexts[ref];
}

/* Waits until a condition that others change holds. The lock is held. */
#define WAIT_UNTIL(condition) wait_until_changed(__FILE__, __LINE__, #condition); while (!(condition)) wait_more()
static __thread const char *awaited;
static __thread int64_t deadline;

static void wait_until_changed(const char *file, int line, const char *what)
{
    (void)file, (void)line;
    awaited = what;
    deadline = now_ms() + PATIENCE_MS;
}

static void wait_more(void)
{
    struct timespec slice;
    if (now_ms() > deadline)
        failed(__FILE__, __LINE__, "never: %s", awaited);
    clock_gettime(CLOCK_REALTIME, &slice);
    slice.tv_sec += 1;
    pthread_cond_timedwait(&changed, &lock, &slice);
}

/* What a message asks its callback to do: a word. */
static void obey(int32_t client, struct context *own, const char *word)
{
    pthread_mutex_lock(&lock);
    if (strcmp(word, "meet") == 0) {
        met++;
        pthread_cond_broadcast(&changed);
        WAIT_UNTIL(met >= to_meet);
    } else if (strcmp(word, "hold") == 0) {
        own->is_held = true;
        pthread_cond_broadcast(&changed);
        WAIT_UNTIL(released > 0);
        own->is_held = false;
    } else if (strcmp(word, "clear each other") == 0) {
        /* The first leaves its ref and waits for the second: both clear at about the same time. */
        int32_t other = to_clear;
        to_clear = client;
        met++;
        pthread_cond_broadcast(&changed);
        WAIT_UNTIL(met >= 2);
        if (other == 0)
            other = to_clear;
        pthread_mutex_unlock(&lock);
        CHECK(other != client);
        DONE(wsplug_client_clear(other, NULL));
        return;
    } else if (strcmp(word, "clear yourself") == 0) {
        pthread_mutex_unlock(&lock);
        DONE(wsplug_client_clear(client, NULL));
        return;
    }
    pthread_mutex_unlock(&lock);
}

static void came_in(int32_t server, int32_t client, bool is_nested)
{
    struct context *own = context_of(server, client);
    pthread_mutex_lock(&lock);
    CHECK(is_nested || !own->is_inside);
    own->is_inside = true;
    if (!own->is_known) {
        own->is_known = true;
        own->thread = pthread_self();
    }
    if (has_affinity)
        CHECK(pthread_equal(own->thread, pthread_self()));
    if (++inside > most_inside)
        most_inside = inside;
    pthread_mutex_unlock(&lock);
}

static void went_out(int32_t server, int32_t client)
{
    pthread_mutex_lock(&lock);
    context_of(server, client)->is_inside = false;
    inside--;
    pthread_mutex_unlock(&lock);
}

static void WSPLUG_API happened(int32_t server, int32_t client, const char *type, const char *context, const char *worker,
                                int32_t window, int32_t process, void *user_data)
{
    /* The "close" of a clear may come inside a callback of the same connection. */
    came_in(server, client, strcmp(type, "close") == 0);
    on_event(server, client, type, context, worker, window, process, user_data);
    if (strcmp(type, "service") == 0)
        usleep(2000);
    if (strcmp(type, "close") == 0 && window == 1)
        usleep(100000);
    went_out(server, client);
}

static void WSPLUG_API received(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                void *user_data)
{
    struct context *own = context_of(server, client);
    came_in(server, client, false);
    if (kind == WSPLUG_TEXT) {
        on_message(server, client, kind, data, length, user_data);
        obey(client, own, json("%.*s", (int)length, (const char *)data));
    } else {
        int number;
        memcpy(&number, data, sizeof number);
        CHECK_INT(number, own->last + 1);
        own->last = number;
        if (length == sizeof number)
            wsplug_client_send(client, WSPLUG_BINARY, data, length, NULL);
    }
    went_out(server, client);
}

static bool say(int fd, const char *word)
{
    return raw_frame(fd, 0x81, true, word, strlen(word));
}

static bool say_number(int fd, int number)
{
    return raw_frame(fd, 0x82, true, &number, sizeof number);
}

static void hear_number(int fd, int number)
{
    struct frame frame = raw_receive(fd);
    CHECK_INT(frame.first, 0x82);
    CHECK_INT(memcmp(frame.payload, &number, sizeof number), 0);
    free(frame.payload);
}

static int32_t open_server(const char *more)
{
    return new_server(json("{'port':0,'closeTimeoutMs':300,%s%s}", delivered, more));
}

static void await_nobody_inside(void)
{
    for (int64_t end = now_ms() + PATIENCE_MS;; usleep(1000)) {
        pthread_mutex_lock(&lock);
        bool is_over = inside == 0;
        pthread_mutex_unlock(&lock);
        if (is_over)
            return;
        CHECK(now_ms() < end);
    }
}

static void end_server(int32_t server)
{
    DONE(wsplug_server_clear(server, NULL));
    forget_events();
    memset(contexts, 0, sizeof contexts);
    inside = most_inside = met = released = 0;
    to_clear = 0;
}

/* Each callback waits for all the others: one after the other they would wait for ever. */
static void those_of_different_connections_run_at_the_same_time(void)
{
    int32_t server = open_server("");
    int port = started(server), fd[CONNECTIONS];
    to_meet = CONNECTIONS;
    for (int i = 0; i < CONNECTIONS; i++)
        fd[i] = raw_client(port);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(say(fd[i], "meet"));
    for (int i = 0; i < CONNECTIONS; i++)
        AWAIT("message", server);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fd[i]);
    for (int i = 0; i < CONNECTIONS; i++)
        AWAIT("close", server);
    end_server(server);
}

/* Numbered messages, "open" and "close", procedures, and those of the server beside its service. */
static void those_of_one_come_one_after_the_other_in_order(void)
{
    int32_t server = open_server(",'interval':1");
    int port = started(server), fd[CONNECTIONS];
    int32_t client[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        fd[i] = raw_client(port);
        client[i] = AWAIT("open", server)->client;
    }
    for (int number = 1; number <= MESSAGES; number++) {
        for (int i = 0; i < CONNECTIONS; i++)
            CHECK(say_number(fd[i], number));
        if (number % 10 == 0) {
            DONE(wsplug_client_execute(client[number / 10 % CONNECTIONS], "mine", "1", NULL));
            DONE(wsplug_server_execute(server, "the server's", json("%d", number), NULL));
        }
    }
    for (int number = 1; number <= MESSAGES; number++)
        for (int i = 0; i < CONNECTIONS; i++)
            hear_number(fd[i], number);
    for (int left = MESSAGES / 10; left > 0;)
        left -= AWAIT("execute", server)->client == 0;
    for (int i = 0; i < CONNECTIONS; i++)
        close(fd[i]);
    for (int i = 0; i < CONNECTIONS; i++)
        AWAIT("close", client[i]);
    for (int i = 0; i < 5; i++)
        AWAIT("service", server);
    end_server(server);
}

/* The one that is held floods us until it is not read any more; the others do not notice. */
static void one_that_blocks_holds_up_nobody_else(void)
{
    int32_t server = open_server(",'eventQueueBytes':200000,'eventQueueEvents':400,'maxMessage':70000");
    int port = started(server), held = raw_client(port), others[3];
    static char flood[64000];
    int sent = 0;
    CHECK(say(held, "hold"));
    int32_t client = AWAIT("message", server)->client;
    struct timeval short_time = {0, 300000};
    CHECK(setsockopt(held, SOL_SOCKET, SO_SNDTIMEO, &short_time, sizeof short_time) == 0);
    /* What the system takes for us is bounded too: at some point it takes no more. */
    for (;;) {
        int number = sent + 1;
        memcpy(flood, &number, sizeof number);
        if (!raw_frame(held, 0x82, true, flood, sizeof flood))
            break;
        CHECK(++sent < 10000);
    }
    DONE(wsplug_server_info(server, replied()));
    CHECK(json_int(reply, "eventQueueBytes") < 200000);
    for (int i = 0; i < 3; i++) {
        others[i] = raw_client(port);
        for (int number = 1; number <= 100; number++) {
            CHECK(say_number(others[i], number));
            hear_number(others[i], number);
        }
    }
    CHECK(context_of(server, client)->is_held);
    pthread_mutex_lock(&lock);
    released = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (int64_t end = now_ms() + PATIENCE_MS;; usleep(1000)) {
        pthread_mutex_lock(&lock);
        int last = context_of(server, client)->last;
        pthread_mutex_unlock(&lock);
        if (last >= sent)
            break;
        CHECK(now_ms() < end);
    }
    close(held);
    for (int i = 0; i < 3; i++)
        close(others[i]);
    for (int i = 0; i < 4; i++)
        AWAIT("close", server);
    end_server(server);
}

static void stopped_comes_after_everything_else(void)
{
    /* Each "close" takes its time, which the window tells. */
    int32_t server = open_server(",'interval':1000,'window':1");
    int port = started(server), fd[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        fd[i] = raw_client(port);
    for (int i = 0; i < CONNECTIONS; i++)
        AWAIT("open", server);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(say_number(fd[i], 1) && raw_frame(fd[i], 0x88, true, "\x03\xE8", 2));
    DONE(wsplug_server_stop(server, NULL, replied()));
    AWAIT("stopped", server);
    CHECK_INT(count_events("close", server), CONNECTIONS);
    pthread_mutex_lock(&lock);
    CHECK_INT(inside, 0);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fd[i]);
    end_server(server);
}

static void *clear(void *argument)
{
    DONE(wsplug_client_clear((int32_t)(intptr_t)argument, NULL));
    return argument;
}

/* From another thread, and inside callbacks: of itself, and of each other at the same time. */
static void clears_wait_for_callbacks_and_not_for_themselves(void)
{
    int32_t server = open_server("");
    int port = started(server), one = raw_client(port), other = raw_client(port);
    pthread_t thread;
    CHECK(say(one, "hold"));
    int32_t client = AWAIT("message", server)->client;
    CHECK(pthread_create(&thread, NULL, clear, (void *)(intptr_t)client) == 0);
    CHECK_INT(raw_close_code(one), 1000);
    CHECK(pthread_tryjoin_np(thread, NULL) == EBUSY);
    pthread_mutex_lock(&lock);
    released = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(!context_of(server, client)->is_inside);
    CHECK_INT(count_events("close", client), 1);
    close(one);

    CHECK(say(other, "clear yourself"));
    CHECK_INT(raw_close_code(other), 1000);
    close(other);
    AWAIT("close", AWAIT("message", server)->client);

    for (int round = 0; round < 20; round++) {
        one = raw_client(port), other = raw_client(port);
        pthread_mutex_lock(&lock);
        met = to_clear = 0;
        pthread_mutex_unlock(&lock);
        CHECK(say(one, "clear each other") && say(other, "clear each other"));
        int32_t first = AWAIT("message", server)->client, second = AWAIT("message", server)->client;
        AWAIT("close", first);
        AWAIT("close", second);
        CHECK_INT(raw_close_code(one), 1000);
        CHECK_INT(raw_close_code(other), 1000);
        close(one);
        close(other);
        await_nobody_inside();
        CHECK_INT(count_events("close", first) + count_events("close", second), 2);
    }
    end_server(server);
}

static int pool_threads(void)
{
    return threads_named("wsplug-pool-");
}

/* A thread that has been joined may be listed for a moment longer. */
static void await_no_pool_threads(void)
{
    for (int64_t end = now_ms() + PATIENCE_MS; pool_threads() > 0; usleep(10000))
        CHECK(now_ms() < end);
}

/* The threads come with the first event, are no more than allowed, and go when they have had nothing to do. */
static void threads_come_when_needed_and_go_when_not(void)
{
    DONE(wsplug_shutdown((int32_t)PATIENCE_MS));
    DONE(wsplug_init("{\"callbackThreads\":2}", replied()));
    CHECK_JSON(reply, "callbackThreads", "2");
    DONE(wsplug_set_callbacks(happened, received, NULL));
    int32_t server = open_server("");
    int port = started(server), fd[CONNECTIONS];
    await_no_pool_threads();
    for (int i = 0; i < CONNECTIONS; i++) {
        fd[i] = raw_client(port);
        AWAIT("open", server);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(say(fd[i], "hold"));
    for (int i = 0; i < 2; i++)
        AWAIT("message", server);
    CHECK(event_within(200, "message", server) == NULL);
    CHECK_INT(pool_threads(), 2);
    pthread_mutex_lock(&lock);
    CHECK_INT(most_inside, 2);
    released = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (int i = 2; i < CONNECTIONS; i++)
        AWAIT("message", server);
    if (has_affinity) {
        /* As long as a connection lives, so does its thread. */
        usleep(2500000);
        CHECK_INT(pool_threads(), 2);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        close(fd[i]);
    for (int i = 0; i < CONNECTIONS; i++)
        AWAIT("close", server);
    await_no_pool_threads();
    /* And come again. */
    close(raw_client(port));
    AWAIT("close", server);
    end_server(server);
}

/* What waits is delivered, then every thread has ended; one that is held in a callback is given up at the deadline. */
static void shutdown_ends_the_threads(void)
{
    int32_t server = open_server(",'interval':1000");
    int port = started(server), fd[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        fd[i] = raw_client(port);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(say_number(fd[i], 1));
    for (int i = 0; i < CONNECTIONS; i++)
        hear_number(fd[i], 1);
    DONE(wsplug_shutdown((int32_t)PATIENCE_MS));
    CHECK_INT(count_events("close", server), CONNECTIONS);
    CHECK_INT(count_events("stopped", server), 1);
    CHECK(strcmp(events->type, "open") == 0);
    await_no_pool_threads();
    for (int i = 0; i < CONNECTIONS; i++)
        close(fd[i]);
    forget_events();
    memset(contexts, 0, sizeof contexts);
    released = 0;

    DONE(wsplug_set_callbacks(happened, received, NULL));
    server = open_server("");
    port = started(server);
    int held = raw_client(port), other = raw_client(port);
    CHECK(say(held, "hold"));
    AWAIT("message", server);
    CHECK(say_number(other, 1));
    hear_number(other, 1);
    int64_t before = now_ms();
    CHECK_INT(wsplug_shutdown(500), WSPLUG_TIMEOUT);
    CHECK(now_ms() - before < allowed_ms(2500));
    close(held);
    close(other);
    /* The library can be used although that callback still has not returned. */
    forget_events();
    DONE(wsplug_set_callbacks(happened, received, NULL));
    server = open_server("");
    other = raw_client(started(server));
    CHECK(say_number(other, 1));
    hear_number(other, 1);
    pthread_mutex_lock(&lock);
    released = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    close(other);
    AWAIT("close", server);
    /* The one that was held has to see that it is released. */
    await_nobody_inside();
    end_server(server);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    has_affinity = strcmp(arguments[1], "affinity") == 0;
    static char options[64];
    snprintf(options, sizeof options, "%s", dispatched(arguments[1]));
    delivered = options;
    delivery = CALLED;
    begin();
    DONE(wsplug_set_callbacks(happened, received, NULL));
    those_of_different_connections_run_at_the_same_time();
    those_of_one_come_one_after_the_other_in_order();
    one_that_blocks_holds_up_nobody_else();
    stopped_comes_after_everything_else();
    clears_wait_for_callbacks_and_not_for_themselves();
    shutdown_ends_the_threads();
    threads_come_when_needed_and_go_when_not();
    return finish();
}
