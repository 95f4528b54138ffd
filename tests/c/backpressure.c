/* Slow peers and a slow host: memory stays bounded, everyone is told, and nothing is lost. */
#include "raw.h"

#include <poll.h>

/* Sends numbered messages until the queue is full; returns how many were taken. */
static int32_t fill(int32_t client, int32_t first, int32_t size)
{
    unsigned char *data = calloc(1, (size_t)size);
    int32_t count = first, status = WSPLUG_OK;
    for (int64_t deadline = now_ms() + PATIENCE_MS; now_ms() < deadline;) {
        memcpy(data, &count, sizeof count);
        status = wsplug_client_send(client, WSPLUG_BINARY, data, size, replied());
        if (status != WSPLUG_OK)
            break;
        count++;
    }
    free(data);
    CHECK_INT(status, WSPLUG_QUEUE_FULL);
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "error.name", "'queue_full'");
    CHECK_JSON(reply, "error.code", "-5");
    return count;
}

/* Reads the numbered messages from first up to end, none of which may be missing. */
static void drain(int fd, int32_t first, int32_t end)
{
    for (int32_t i = first; i < end; i++) {
        int32_t number = -1;
        struct frame frame = raw_receive(fd);
        CHECK_INT(frame.first, 0x82);
        memcpy(&number, frame.payload, sizeof number);
        CHECK_INT(number, i);
        free(frame.payload);
    }
}

static void a_peer_that_does_not_read(int32_t client, int fd)
{
    enum { SIZE = 16384 };
    int32_t first = 0, times_full = 0;
    for (int round = 0; round < 3; round++) {
        int32_t end = fill(client, first, SIZE);
        times_full++;
        /* While the system's buffers still take something, there is room again soon. */
        for (struct event *event; (event = event_within(300, "drain", client)) != NULL; times_full++) {
            CHECK_MEMBERS(event->context, "", "bufferedAmount");
            CHECK(json_int(event->context, "bufferedAmount") < 65536);
            end = fill(client, end, SIZE);
        }
        drain(fd, first, end);
        AWAIT("drain", client);
        CHECK_INT(count_events("drain", client), times_full);
        first = end;
    }
    /* A message over the limit goes where nothing waits. */
    char *large = calloc(1, 200000);
    DONE(wsplug_client_send(client, WSPLUG_BINARY, large, 200000, replied()));
    CHECK_JSON(reply, "wireSize", "200000");
    free(large);
    struct frame frame = raw_receive(fd);
    CHECK_INT(frame.length, 200000);
    free(frame.payload);
}

static void slow_peers(void)
{
    const char *limit = "'sendQueueBytes':65536,'drain':true";
    int32_t server = new_server(json("{'port':0,%s}", limit));
    int fd = raw_client(started(server));
    a_peer_that_does_not_read(AWAIT("open", server)->client, fd);
    close(fd);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));

    int port, listener = raw_listen(&port);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/','enableAutomaticReconnection':false,%s}", port, limit));
    DONE(wsplug_client_start(client, "{\"wait\":false}", NULL));
    fd = raw_accept(listener);
    raw_answer(fd, "");
    AWAIT("open", client);
    a_peer_that_does_not_read(client, fd);
    DONE(wsplug_client_clear(client, NULL));
    close(fd);
    close(listener);
}

static void without_the_option_there_is_no_drain(void)
{
    int32_t server = new_server("{\"port\":0,\"sendQueueBytes\":65536}");
    int fd = raw_client(started(server));
    int32_t client = AWAIT("open", server)->client;
    drain(fd, 0, fill(client, 0, 16384));
    CHECK(raw_frame(fd, 0x81, true, "read", 4));
    AWAIT("message", client);
    CHECK_INT(count_events("drain", client), 0);
    close(fd);
    AWAIT("close", client);
    DONE(wsplug_server_clear(server, NULL));
}

/* One slow reader fails alone in a broadcast; the others get each message. */
static void a_slow_reader_does_not_hold_up_the_others(void)
{
    enum { COUNT = 200, SIZE = 65536 };
    int32_t server = new_server("{\"port\":0,\"sendQueueBytes\":262144}");
    int port = started(server);
    int slow_fd = raw_client(port);
    int32_t slow = AWAIT("open", server)->client;
    int fd = raw_client(port);
    int32_t quick = AWAIT("open", server)->client;
    bool was_full = false;
    unsigned char *data = calloc(1, SIZE);
    for (int32_t i = 0; i < COUNT; i++) {
        memcpy(data, &i, sizeof i);
        CHECK(wsplug_server_send(server, WSPLUG_BINARY, data, SIZE, NULL, replied()) != WSPLUG_INTERNAL);
        CHECK_INT(json_count(reply, ""), 2);
        for (int j = 0; j < 2; j++) {
            bool done = strncmp(json_at(reply, json("%d.success", j)), "true", 4) == 0;
            if (json_int(reply, json("%d.client", j)) == slow) {
                was_full |= !done;
                if (!done)
                    CHECK_JSON(reply, json("%d.error.name", j), "'queue_full'");
            } else {
                CHECK_INT(json_int(reply, json("%d.client", j)), quick);
                CHECK(done);
            }
        }
        drain(fd, i, i + 1);
    }
    free(data);
    CHECK(was_full);
    close(slow_fd);
    close(fd);
    AWAIT("close", server);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));
}

enum { FLOOD = 4000, FLOOD_SIZE = 16384 };

/* Writes numbered messages. */
static void *flood(void *fd)
{
    unsigned char *data = calloc(1, FLOOD_SIZE);
    for (int32_t i = 0; i < FLOOD; i++) {
        memcpy(data, &i, sizeof i);
        CHECK(raw_frame(*(int *)fd, 0x82, true, data, FLOOD_SIZE));
    }
    free(data);
    return NULL;
}

/* 64 MB are sent to a host that looks at nothing; once it looks it finds each message, in order. */
static void a_host_that_does_not_look_loses_nothing(void)
{
    pthread_t thread;
    int32_t server = new_server("{\"port\":0,\"eventQueueBytes\":1048576}");
    int fd = raw_client(started(server));
    AWAIT("open", server);
    int64_t before = resident_bytes();
    CHECK(pthread_create(&thread, NULL, flood, &fd) == 0);

    /* The socket's buffers fill up once the library has stopped reading. */
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int64_t deadline = now_ms() + PATIENCE_MS;
    while (poll(&writable, 1, 0) != 0 || poll(&writable, 1, 200) != 0) {
        CHECK(now_ms() < deadline);
        sched_yield();
    }
    int64_t grown = resident_bytes() - before;
    /* Tools that watch the program need memory of their own. */
    if (grown > 8 * 1024 * 1024 && slowness() == 1)
        failed(__FILE__, __LINE__, "%lld bytes more are held", (long long)grown);

    for (int32_t i = 0; i < FLOOD; i++) {
        wsplug_event *event = NULL;
        int32_t number = -1, length = 0;
        DONE(wsplug_event_next((int32_t)PATIENCE_MS, &event));
        const void *data = wsplug_event_data(event, &length);
        CHECK_INT(length, FLOOD_SIZE);
        memcpy(&number, data, sizeof number);
        CHECK_INT(number, i);
        wsplug_event_free(event);
    }
    pthread_join(thread, NULL);
    close(fd);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));
}

static void a_full_queue_does_not_hold_up_a_stop(void)
{
    int32_t server = new_server("{\"port\":0,\"eventQueueBytes\":65536,\"closeTimeoutMs\":200}");
    int fd = raw_client(started(server));
    int32_t client = AWAIT("open", server)->client;
    char *data = calloc(1, 60000);
    for (int i = 0; i < 3; i++)
        CHECK(raw_frame(fd, 0x82, true, data, 60000));
    free(data);
    AWAIT("message", client);
    int64_t before = now_ms();
    DONE(wsplug_server_stop(server, NULL, NULL));
    CHECK(now_ms() - before < allowed_ms(3000));
    AWAIT("close", client);
    close(fd);
    DONE(wsplug_server_clear(server, NULL));
}

enum { ANSWER_SIZE = 16000, ANSWER_FRAME = ANSWER_SIZE + 4 };

/* Answers until the queue is full, and tells the number of answers by the event. */
static void WSPLUG_API answer_until_full(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                         void *user_data)
{
    static unsigned char answer[ANSWER_SIZE];
    int32_t count = 0;
    (void)server, (void)kind, (void)data, (void)length, (void)user_data;
    while (wsplug_client_send(client, WSPLUG_BINARY, answer, ANSWER_SIZE, NULL) == WSPLUG_OK)
        count++;
    on_message(server, client, kind, &count, sizeof count, NULL);
}

/* What one inline callback sends counts as waiting, whichever way it takes. */
static void an_inline_callback_fills_the_queue_once(void)
{
    delivery = CALLED;
    DONE(wsplug_set_callbacks(on_event, answer_until_full, NULL));
    int32_t server = new_server("{\"port\":0,\"dispatch\":\"inline\",\"sendQueueBytes\":65536}");
    int fd = raw_client(started(server));
    AWAIT("open", server);
    for (int round = 0; round < 3; round++) {
        int32_t count = 0;
        CHECK(raw_frame(fd, 0x82, true, "go", 2));
        memcpy(&count, AWAIT("message", server)->data, sizeof count);
        CHECK_INT(count, 65536 / ANSWER_FRAME);
        for (int32_t i = 0; i < count; i++)
            free(raw_receive(fd).payload);
    }
    close(fd);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));
    DONE(wsplug_set_callbacks(NULL, NULL, NULL));
}

int main(void)
{
    begin();
    delivery = PULLED;
    slow_peers();
    without_the_option_there_is_no_drain();
    a_slow_reader_does_not_hold_up_the_others();
    a_host_that_does_not_look_loses_nothing();
    a_full_queue_does_not_hold_up_a_stop();
    an_inline_callback_fills_the_queue_once();
    return finish();
}
