/*
 * Events reach the host in the way it asked for (argument: thread, inline, pump, pull or messages), each with the
 * method, worker, window and process that were in force when it happened.
 */
#include "raw.h"

static const char *mode;
static bool is_called; /* by callbacks */
static int of_all, of_one, of_two;

static void check_host(const struct event *event, const char *method, const char *worker, int32_t window, int32_t process)
{
    CHECK_TEXT(event->worker, worker);
    CHECK_INT(event->window, window);
    CHECK_INT(event->process, process);
    if (delivery == PULLED)
        CHECK_TEXT(event->method, method);
    if (is_called)
        CHECK(event->user_data == (strcmp(method, "one") == 0 ? &of_one : strcmp(method, "two") == 0 ? &of_two : &of_all));
}

static void check_thread(const struct event *event)
{
    bool is_main = pthread_equal(event->thread, pthread_self());
    if (delivery == CALLED)
        CHECK(!is_main);
    else
        CHECK(is_main);
}

static const char *dispatch(void)
{
    return is_called ? json(",%s", dispatched(mode)) : "";
}

/* Every event that a client and a server have of a short life. */
static void events_come_with_what_was_in_force(void)
{
    int32_t server = new_server(json("{'port':0,'method':'one','worker':'s','window':1,'process':2%s}", dispatch()));
    int port = started(server);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/','method':'two','worker':'c','window':3,'process':4%s}",
                                     port, dispatch()));
    /* Waiting inside the start would need the callback that only a pump runs: that must not deadlock either. */
    DONE(wsplug_client_start(client, "{\"window\":5}", replied()));
    struct event *event = AWAIT("open", client);
    CHECK_INT(event->server, 0);
    check_host(event, "two", "c", 5, 4);
    check_thread(event);

    event = AWAIT("open", server);
    int32_t accepted = event->client;
    CHECK(accepted > 0 && accepted != client);
    check_host(event, "one", "s", 1, 2);
    check_thread(event);

    DONE(wsplug_client_send(client, WSPLUG_BINARY, "a\0b", 3, replied()));
    event = AWAIT("message", server);
    CHECK_INT(event->client, accepted);
    CHECK_INT(event->kind, WSPLUG_BINARY);
    CHECK_INT(event->length, 3);
    CHECK(memcmp(event->data, "a\0b", 3) == 0);
    check_thread(event);
    if (!is_called)
        check_host(event, "one", "s", 1, 2);

    DONE(send_text(accepted, "back"));
    event = AWAIT("message", client);
    CHECK_INT(event->server, 0);
    CHECK_INT(event->kind, WSPLUG_TEXT);
    CHECK_TEXT(event->data, "back");

    DONE(wsplug_client_send(client, WSPLUG_PING, "!", 1, replied()));
    check_host(AWAIT("ping", accepted), "one", "s", 1, 2);
    check_host(AWAIT("pong", client), "two", "c", 5, 4);

    /* What stop changes holds for the events that come after it; where it is not named it stays. */
    DONE(wsplug_client_stop(client, "{\"method\":\"one\",\"worker\":\"late\"}", replied()));
    CHECK_JSON(reply, "worker", "'late'");
    CHECK_JSON(reply, "window", "5");
    AWAIT("close", client);
    check_host(AWAIT("close", server), "one", "s", 1, 2);
    DONE(wsplug_client_start(client, NULL, replied()));
    check_host(AWAIT("open", client), "one", "late", 5, 4);
    AWAIT("open", server);
    DONE(wsplug_server_stop(server, NULL, replied()));
    DONE(wsplug_client_clear(client, NULL));
    DONE(wsplug_server_clear(server, NULL));
}

static void without_a_method_the_callbacks_for_all_are_called(void)
{
    int32_t server = new_server(json("{'port':0,'method':'nobody set this'%s}", dispatch()));
    int fd = raw_client(started(server));
    check_host(AWAIT("open", server), "nobody set this", "", 0, 0);
    close(fd);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));
}

/* Without a message callback, messages come as JSON. */
static void messages_come_as_json_where_no_message_callback_is_set(void)
{
    DONE(wsplug_set_method("json", on_event, NULL, &of_one));
    int32_t server = new_server(json("{'port':0,'method':'json'%s}", dispatch()));
    int fd = raw_client(started(server));
    CHECK(raw_frame(fd, 0x81, true, "hi", 2));
    struct event *event = AWAIT("message", server);
    CHECK(event->context != NULL);
    CHECK_JSON(event->context, "data", "'hi'");
    CHECK_JSON(event->context, "binary", "false");
    close(fd);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));
}

/* A thousand messages in order, while both sides send. */
static void messages_keep_their_order(void)
{
    enum { COUNT = 1000 };
    int32_t server = new_server(json("{'port':0%s}", dispatch()));
    int port = started(server);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/'%s}", port, dispatch()));
    DONE(wsplug_client_start(client, NULL, replied()));
    int32_t accepted = AWAIT("open", server)->client;
    for (int32_t i = 0; i < COUNT; i++) {
        DONE(wsplug_client_send(client, WSPLUG_BINARY, &i, sizeof i, NULL));
        DONE(wsplug_client_send(accepted, WSPLUG_BINARY, &i, sizeof i, NULL));
    }
    for (int32_t i = 0; i < COUNT; i++) {
        CHECK_INT(memcmp(AWAIT("message", server)->data, &i, sizeof i), 0);
        CHECK_INT(memcmp(AWAIT("message", client)->data, &i, sizeof i), 0);
    }
    DONE(wsplug_client_clear(client, NULL));
    DONE(wsplug_server_clear(server, NULL));
}

/* wsplug_..._messages consume what they return and wait when asked to. */
static void an_objects_own_events_are_listed(void)
{
    int32_t server = new_server("{\"port\":0,\"worker\":\"w\",\"window\":6,\"process\":7}");
    int port = started(server);
    int32_t other = new_server("{\"port\":0}");
    int other_port = started(other);
    DONE(wsplug_server_messages(server, NULL, replied()));
    CHECK_TEXT(reply, "[]");
    int32_t client = connected(port), bystander = connected(other_port);
    DONE(send_text(client, "hello"));
    DONE(wsplug_client_send(client, WSPLUG_BINARY, "\xFF\0", 2, replied()));

    DONE(wsplug_server_messages(server, "{\"max\":1,\"timeout\":10}", replied()));
    CHECK_INT(json_count(reply, ""), 1);
    CHECK_MEMBERS(reply, "0", "server client type context worker window process");
    CHECK_INT(json_int(reply, "0.server"), server);
    int32_t accepted = (int32_t)json_int(reply, "0.client");
    CHECK_JSON(reply, "0.type", "'open'");
    CHECK_JSON(reply, "0.worker", "'w'");
    CHECK_JSON(reply, "0.window", "6");
    CHECK_JSON(reply, "0.process", "7");
    CHECK(json_has(reply, "0.context.headers.Host"));
    DONE(wsplug_server_messages(server, "{\"max\":1,\"timeout\":10}", replied()));
    CHECK_INT(json_int(reply, "0.client"), accepted);
    CHECK_JSON(reply, "0.type", "'message'");
    CHECK_JSON(reply, "0.context.data", "'hello'");
    DONE(wsplug_client_messages(accepted, "{\"timeout\":10}", replied()));
    CHECK_JSON(reply, "0.type", "'message'");
    CHECK_JSON(reply, "0.context.data", "'/wA='");
    CHECK_JSON(reply, "0.context.encoding", "'base64'");
    DONE(wsplug_server_messages(server, NULL, replied()));
    CHECK_TEXT(reply, "[]");

    DONE(wsplug_client_messages(client, "{\"timeout\":10}", replied()));
    CHECK_JSON(reply, "0.type", "'open'");
    CHECK_JSON(reply, "0.server", "0");
    DONE(wsplug_client_messages(bystander, "{\"timeout\":10}", replied()));
    CHECK_INT(json_count(reply, ""), 1);
    CHECK_INT(json_int(reply, "0.client"), bystander);
    DONE(wsplug_client_clear(client, NULL));
    DONE(wsplug_client_clear(bystander, NULL));
    DONE(wsplug_server_messages(other, "{\"max\":1,\"timeout\":10}", replied()));
    CHECK_JSON(reply, "0.type", "'open'");
    DONE(wsplug_server_clear(other, NULL));
    DONE(wsplug_server_clear(server, NULL));
}

static void *wake(void *unused)
{
    (void)unused;
    wsplug_event_wake();
    return NULL;
}

static void waiting_for_an_event_ends_when_asked_to(void)
{
    wsplug_event *event = NULL;
    while (wsplug_event_next(0, &event) == WSPLUG_OK)
        wsplug_event_free(event);
    CHECK(event == NULL);
    int64_t before = now_ms();
    CHECK_INT(wsplug_event_next(50, &event), WSPLUG_TIMEOUT);
    CHECK(now_ms() - before >= 49);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wake, NULL) == 0);
    CHECK_INT(wsplug_event_next(-1, &event), WSPLUG_TIMEOUT);
    CHECK(event == NULL);
    pthread_join(thread, NULL);
}

static void a_pump_runs_no_more_than_it_is_told_to(void)
{
    CHECK_INT(wsplug_pump(0, 100), 0);
    int32_t server = new_server("{\"port\":0,\"dispatch\":\"pump\"}");
    int fd = raw_client(started(server));
    CHECK(raw_frame(fd, 0x81, true, "1", 1) && raw_frame(fd, 0x81, true, "2", 1));
    CHECK_INT(wsplug_pump((int32_t)PATIENCE_MS, 1), 1);
    CHECK_INT(count_events("open", server), 1);
    CHECK_INT(count_events("message", server), 0);
    CHECK_INT(wsplug_pump((int32_t)PATIENCE_MS, 1), 1);
    CHECK_INT(wsplug_pump((int32_t)PATIENCE_MS, 1), 1);
    CHECK_INT(count_events("message", server), 2);
    CHECK_INT(wsplug_pump(0, 100), 0);
    close(fd);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    mode = arguments[1];
    begin();
    if (strcmp(mode, "messages") == 0) {
        an_objects_own_events_are_listed();
        return finish();
    }
    is_called = strcmp(mode, "pull") != 0;
    delivery = !is_called ? PULLED : strcmp(mode, "pump") == 0 ? PUMPED : CALLED;
    if (is_called) {
        DONE(wsplug_set_callbacks(on_event, on_message, &of_all));
        DONE(wsplug_set_method("one", on_event, on_message, &of_one));
        DONE(wsplug_set_method("two", on_event, on_message, &of_two));
        messages_come_as_json_where_no_message_callback_is_set();
    }
    events_come_with_what_was_in_force();
    without_a_method_the_callbacks_for_all_are_called();
    messages_keep_their_order();
    if (delivery == PULLED)
        waiting_for_an_event_ends_when_asked_to();
    if (delivery == PUMPED)
        a_pump_runs_no_more_than_it_is_told_to();
    return finish();
}
