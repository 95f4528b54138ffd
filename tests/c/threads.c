/*
 * Eight threads use the whole of the library at once (argument: thread, inline, pump or pull, or deflate: inline and
 * compressed). Nothing crashes or hangs, no message of a connection is lost or out of order, and each "open" has its one "close".
 */
#include "check.h"

enum { THREADS = 8, ROUNDS = 5, MESSAGES = 20 };

static int32_t server;
static int port;
static const char *delivered; /* the options that say how */
static pthread_barrier_t together;

/* The server answers each message with the same one. */
static void WSPLUG_API echo(int32_t from_server, int32_t client, int32_t kind, const void *data, int32_t length,
                            void *user_data)
{
    if (from_server != 0) {
        int32_t status = wsplug_client_send(client, kind, data, length, NULL);
        CHECK(status == WSPLUG_OK || status == WSPLUG_UNKNOWN_REF || status == WSPLUG_WRONG_STATE);
    }
    on_message(from_server, client, kind, data, length, user_data);
}

static void *use(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&together);
    for (int round = 0; round < ROUNDS; round++) {
        int32_t own = new_server(json("{'port':0,%s}", delivered));
        CHECK(started(own) != port);
        int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/',%s}", port, delivered));
        DONE(wsplug_client_start(client, NULL, replied()));
        for (int32_t i = 0; i < MESSAGES; i++)
            DONE(wsplug_client_send(client, WSPLUG_BINARY, &i, sizeof i, replied()));
        DONE(wsplug_server_clients(server, replied()));
        CHECK(json_count(reply, "") >= 1);
        DONE(wsplug_server_send(server, WSPLUG_TEXT, "to all", 6, NULL, replied()));
        DONE(wsplug_server_clear(own, replied()));
        /* The server's answer to the last message means that all have arrived. */
        for (int32_t i = 0; i < MESSAGES; i++) {
            struct event *event;
            do
                event = AWAIT("message", client);
            while (event->kind == WSPLUG_TEXT);
            CHECK_INT(memcmp(event->data, &i, sizeof i), 0);
        }
        DONE(wsplug_client_stop(client, NULL, replied()));
        AWAIT("close", client);
        DONE(wsplug_client_clear(client, replied()));
    }
    wsplug_free(reply);
    reply = NULL;
    return NULL;
}

/* The pulled server is served by the program's own thread. */
static void *serve(void *unused)
{
    wsplug_event *event;
    (void)unused;
    for (int left = 2 * THREADS * ROUNDS; left > 0;) {
        DONE(wsplug_event_next((int32_t)PATIENCE_MS, &event));
        const char *type = wsplug_event_type(event);
        int32_t length = 0;
        const void *data = wsplug_event_data(event, &length);
        if (strcmp(type, "message") == 0)
            echo(wsplug_event_server(event), wsplug_event_client(event), wsplug_event_kind(event), data, length, NULL);
        else
            on_event(wsplug_event_server(event), wsplug_event_client(event), type, wsplug_event_context(event),
                     wsplug_event_worker(event), wsplug_event_window(event), wsplug_event_process(event), NULL);
        left -= strcmp(type, "close") == 0;
        wsplug_event_free(event);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t threads[THREADS], servant;
    CHECK(count == 2);
    const char *mode = arguments[1];
    begin();
    bool is_pulled = strcmp(mode, "pull") == 0;
    delivery = strcmp(mode, "pump") == 0 ? PUMPED : CALLED;
    char options[128];
    if (strcmp(mode, "deflate") == 0)
        snprintf(options, sizeof options, "'dispatch':'inline','perMessageDeflate':{'enabled':true,'threshold':0}");
    else
        snprintf(options, sizeof options, "%s", dispatched(is_pulled ? "thread" : mode));
    delivered = options;
    if (!is_pulled)
        DONE(wsplug_set_callbacks(on_event, echo, NULL));
    server = new_server(json("{'port':0,%s}", delivered));
    port = started(server);
    pthread_barrier_init(&together, NULL, THREADS);
    if (is_pulled)
        CHECK(pthread_create(&servant, NULL, serve, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, use, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (is_pulled)
        pthread_join(servant, NULL);
    for (int i = 0; i < THREADS * ROUNDS; i++)
        AWAIT("close", server);
    CHECK_INT(count_events("open", server), THREADS * ROUNDS);
    CHECK_INT(count_events("close", server), THREADS * ROUNDS);
    DONE(wsplug_server_clients(server, replied()));
    CHECK_TEXT(reply, "[]");
    pthread_barrier_destroy(&together);
    return finish();
}
