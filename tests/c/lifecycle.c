/* Servers and clients are created, started, stopped and cleared in every order; a ref that is gone stays gone. */
#include "raw.h"

static void a_server_survives_every_order(void)
{
    int32_t server = new_server("{\"port\":0}");
    DONE(wsplug_server_stop(server, NULL, replied()));
    int port = started(server);
    close(raw_client(port));
    REFUSED(WSPLUG_WRONG_STATE, wsplug_server_start(server, NULL, replied()));
    CHECK_JSON(reply, "success", "false");
    close(raw_client(port));
    DONE(wsplug_server_stop(server, NULL, replied()));
    CHECK_JSON(reply, "success", "true");
    DONE(wsplug_server_stop(server, NULL, replied()));
    for (int round = 0; round < 5; round++) {
        close(raw_client(started(server)));
        DONE(wsplug_server_stop(server, NULL, replied()));
    }
    close(raw_client(started(server)));
    DONE(wsplug_server_clear(server, replied()));
    CHECK_TEXT(reply, "{}");

    DONE(wsplug_server_clear(new_server(NULL), NULL));
}

static void a_stopped_server_frees_its_port(void)
{
    int32_t first = new_server("{\"port\":0}");
    int port = started(first);
    close(raw_client(port));
    DONE(wsplug_server_stop(first, NULL, NULL));
    int32_t second = new_server(json("{'port':%d}", port));
    CHECK_INT(started(second), port);
    REFUSED(WSPLUG_NETWORK, wsplug_server_start(first, json("{'port':%d}", port), replied()));
    DONE(wsplug_server_clear(second, NULL));
    DONE(wsplug_server_start(first, NULL, replied()));
    CHECK_INT(json_int(reply, "port"), port);
    DONE(wsplug_server_clear(first, NULL));
}

static void a_client_survives_every_order(void)
{
    int32_t server = new_server("{\"port\":0}");
    int port = started(server);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/'}", port));
    REFUSED(WSPLUG_WRONG_STATE, send_text(client, "too early"));
    DONE(wsplug_client_stop(client, NULL, replied()));
    for (int round = 0; round < 5; round++) {
        DONE(wsplug_client_start(client, NULL, replied()));
        REFUSED(WSPLUG_WRONG_STATE, wsplug_client_start(client, NULL, replied()));
        DONE(send_text(client, "hello"));
        AWAIT("open", server);
        AWAIT("message", server);
        DONE(wsplug_client_stop(client, NULL, replied()));
        CHECK_JSON(reply, "success", "true");
        DONE(wsplug_client_stop(client, NULL, replied()));
        REFUSED(WSPLUG_WRONG_STATE, send_text(client, "too late"));
        AWAIT("close", server);
    }
    DONE(wsplug_client_start(client, NULL, replied()));
    DONE(wsplug_client_clear(client, replied()));
    CHECK_TEXT(reply, "{}");
    AWAIT("close", server);
    DONE(wsplug_client_clear(new_client(json("{'url':'ws://127.0.0.1:%d/'}", port)), NULL));
    DONE(wsplug_server_clear(server, NULL));
}

static void everything_but_starting_works_on_an_accepted_connection(void)
{
    int32_t server = new_server("{\"port\":0}");
    int port = started(server);

    int fd = raw_client(port);
    int32_t accepted = AWAIT("open", server)->client;
    CHECK(accepted > 0);
    CHECK(wsplug_client_start(accepted, NULL, replied()) < 0);
    DONE(send_text(accepted, "hello"));
    struct frame frame = raw_receive(fd);
    CHECK_TEXT((char *)frame.payload, "hello");
    free(frame.payload);
    DONE(wsplug_client_stop(accepted, "{\"code\":4001,\"reason\":\"enough\",\"wait\":false}", replied()));
    CHECK_INT(raw_close_code(fd), 4001);
    CHECK(raw_frame(fd, 0x88, true, "\x0F\xA1", 2));
    raw_end(fd);
    struct event *closed = AWAIT("close", accepted);
    CHECK_JSON(closed->context, "code", "4001");
    REFUSED(WSPLUG_UNKNOWN_REF, send_text(accepted, "gone"));

    fd = raw_client(port);
    accepted = AWAIT("open", server)->client;
    DONE(wsplug_client_clear(accepted, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, send_text(accepted, "gone"));
    close(fd);

    /* Stopping the server ends its connections and their refs. */
    fd = raw_client(port);
    accepted = AWAIT("open", server)->client;
    DONE(wsplug_server_stop(server, "{\"wait\":false}", NULL));
    CHECK_INT(raw_close_code(fd), 1001);
    CHECK(raw_frame(fd, 0x88, true, "\x03\xE9", 2));
    raw_end(fd);
    AWAIT("close", accepted);
    REFUSED(WSPLUG_UNKNOWN_REF, send_text(accepted, "gone"));
    DONE(wsplug_server_clear(server, NULL));
}

static void no_server(int32_t ref)
{
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_start(ref, NULL, replied()));
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "error.code", "-3");
    CHECK_JSON(reply, "error.name", "'unknown_ref'");
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_stop(ref, NULL, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_send(ref, WSPLUG_TEXT, "x", 1, NULL, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_clear(ref, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_clients(ref, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_messages(ref, NULL, replied()));
}

static void no_client(int32_t ref)
{
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_start(ref, NULL, replied()));
    CHECK_JSON(reply, "success", "false");
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_stop(ref, NULL, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_send(ref, WSPLUG_TEXT, "x", 1, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_clear(ref, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_messages(ref, NULL, replied()));
}

static void stale_refs_and_others_are_refused(void)
{
    int32_t server = new_server(NULL), client = new_client("{\"url\":\"ws://127.0.0.1:9/\"}");
    no_server(client);
    no_client(server);
    DONE(wsplug_server_clear(server, NULL));
    DONE(wsplug_client_clear(client, NULL));
    const int32_t refs[] = {server, client, 0, INT32_MAX, INT32_MIN, INT32_MIN + 1};
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        no_server(refs[i]);
        no_client(refs[i]);
    }
    for (int i = 0; i < 100; i++) {
        int32_t fresh_server = new_server(NULL), fresh_client = new_client("{\"url\":\"ws://127.0.0.1:9/\"}");
        CHECK(fresh_server < server && fresh_client > client);
        server = fresh_server, client = fresh_client;
        DONE(wsplug_server_clear(server, NULL));
        DONE(wsplug_client_clear(client, NULL));
    }
}

int main(void)
{
    begin();
    delivery = PULLED;
    a_server_survives_every_order();
    a_stopped_server_frees_its_port();
    a_client_survives_every_order();
    everything_but_starting_works_on_an_accepted_connection();
    stale_refs_and_others_are_refused();
    return finish();
}
