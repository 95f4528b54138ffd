/* The context of every type of event has exactly the fields of its type. */
#include "raw.h"

static int32_t server;
static int port;

static int32_t accepted_with(int fd, const char *headers)
{
    CHECK_INT(raw_status(raw_ask(fd, "/chat?room=1", headers)), 101);
    return AWAIT("open", server)->client;
}

static void open_of_a_server(void)
{
    int fd = raw_connect(port);
    /* Headers cannot pass for fields of the context. */
    CHECK_INT(raw_status(raw_ask(fd, "/chat?room=1", "X-Twice: a\r\nX-Twice: b\r\nuri: fake\r\ntls: fake\r\nremoteIp: fake\r\n")), 101);
    struct event *event = AWAIT("open", server);
    const char *fields[] = {"Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        CHECK_TEXT(json_text(event->context, fields[i]), json_text(event->context, json("headers.%s", fields[i])));
    }
    CHECK_JSON(event->context, "headers.Host", "'127.0.0.1'");
    CHECK_JSON(event->context, "uri", "'/chat?room=1'");
    CHECK_JSON(event->context, "protocol", "''");
    CHECK_JSON(event->context, "extensions", "''");
    CHECK_JSON(event->context, "remoteIp", "'127.0.0.1'");
    CHECK_JSON(event->context, "tls", "false");
    CHECK_JSON(event->context, "headers.uri", "'fake'");
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    CHECK_INT(json_int(event->context, "remotePort"), ntohs(address.sin_port));
    CHECK_TEXT(json_text(event->context, "headers.X-Twice"), "a, b");
    CHECK_MEMBERS(event->context, "",
                  "uri headers protocol extensions remoteIp remotePort tls Host Upgrade Connection "
                  "Sec-WebSocket-Version Sec-WebSocket-Key X-Twice");
    close(fd);
    AWAIT("close", event->client);
}

static void open_of_a_client(void)
{
    int their_port, listener = raw_listen(&their_port);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/chat?room=1','enableAutomaticReconnection':false}", their_port));
    DONE(wsplug_client_start(client, "{\"wait\":false}", NULL));
    int fd = raw_accept(listener);
    raw_answer(fd, "X-Name: value\r\n");
    struct event *event = AWAIT("open", client);
    CHECK_INT(event->server, 0);
    CHECK_MEMBERS(event->context, "",
                  "uri url headers protocol extensions remoteIp remotePort tls Upgrade Connection Sec-WebSocket-Accept "
                  "X-Name");
    CHECK_MEMBERS(event->context, "headers", "Upgrade Connection Sec-WebSocket-Accept X-Name");
    CHECK_JSON(event->context, "X-Name", "'value'");
    CHECK_JSON(event->context, "remoteIp", "'127.0.0.1'");
    CHECK_INT(json_int(event->context, "remotePort"), their_port);
    CHECK(strstr(json_text(event->context, "uri"), "/chat?room=1") != NULL);
    DONE(wsplug_client_clear(client, NULL));
    raw_end(fd);
    close(listener);
}

static void message_fragment_ping_and_pong(void)
{
    int fd = raw_connect(port);
    int32_t client = accepted_with(fd, "");
    CHECK(raw_frame(fd, 0x81, true, "h\xC3\xA9\"\n", 5));
    struct event *event = AWAIT("message", client);
    CHECK_MEMBERS(event->context, "", "wireSize payloadSize binary data");
    CHECK_JSON(event->context, "wireSize", "5");
    CHECK_JSON(event->context, "payloadSize", "5");
    CHECK_JSON(event->context, "binary", "false");
    CHECK_JSON(event->context, "data", "'h\xC3\xA9\\'\\n'");
    CHECK_INT(event->kind, WSPLUG_TEXT);
    CHECK_INT(event->length, 5);

    CHECK(raw_frame(fd, 0x82, true, "\xFF\x00\x10", 3));
    event = AWAIT("message", client);
    CHECK_MEMBERS(event->context, "", "wireSize payloadSize binary data encoding");
    CHECK_JSON(event->context, "binary", "true");
    CHECK_JSON(event->context, "encoding", "'base64'");
    CHECK_JSON(event->context, "data", "'/wAQ'");
    CHECK_INT(event->kind, WSPLUG_BINARY);
    CHECK(memcmp(event->data, "\xFF\x00\x10", 3) == 0);

    CHECK(raw_frame(fd, 0x01, true, "one ", 4) && raw_frame(fd, 0x00, true, "two ", 4));
    CHECK(raw_frame(fd, 0x80, true, "three", 5));
    for (int i = 0; i < 2; i++) {
        event = AWAIT("fragment", client);
        CHECK_MEMBERS(event->context, "", "wireSize payloadSize binary data index");
        CHECK_INT(json_int(event->context, "index"), i);
        CHECK_JSON(event->context, "data", i == 0 ? "'one '" : "'two '");
        CHECK_JSON(event->context, "wireSize", "4");
    }
    event = AWAIT("message", client);
    CHECK_JSON(event->context, "data", "'one two three'");
    CHECK_JSON(event->context, "wireSize", "13");
    CHECK_JSON(event->context, "payloadSize", "13");

    CHECK(raw_frame(fd, 0x89, true, "ping", 4) && raw_frame(fd, 0x8A, true, "pong", 4));
    event = AWAIT("ping", client);
    CHECK_MEMBERS(event->context, "", "wireSize binary data");
    CHECK_JSON(event->context, "wireSize", "4");
    CHECK_JSON(event->context, "data", "'ping'");
    CHECK_INT(event->kind, WSPLUG_PING);
    event = AWAIT("pong", client);
    CHECK_MEMBERS(event->context, "", "wireSize binary data");
    CHECK_JSON(event->context, "data", "'pong'");
    CHECK_INT(event->kind, WSPLUG_PONG);

    /* Nothing that was read is lost when the end comes in the same packet. */
    CHECK(raw_frame(fd, 0x81, true, "last", 4) && raw_frame(fd, 0x88, true, "\x0F\xA0" "bye", 5));
    CHECK_JSON(AWAIT("message", client)->context, "data", "'last'");
    event = AWAIT("close", client);
    CHECK_MEMBERS(event->context, "", "code reason remote unsent");
    CHECK_MEMBERS(event->context, "unsent", "messages bytes");
    CHECK_JSON(event->context, "code", "4000");
    CHECK_JSON(event->context, "reason", "'bye'");
    CHECK_JSON(event->context, "remote", "true");
    raw_end(fd);
}

/* How a connection ended is in its "close": by the peer, by us, by a fault of the peer, without a word. */
static void close_tells_how_it_ended(void)
{
    int fd = raw_connect(port);
    int32_t client = accepted_with(fd, "");
    CHECK(raw_frame(fd, 0x88, true, "", 0));
    struct event *event = AWAIT("close", client);
    CHECK_JSON(event->context, "code", "1005");
    CHECK_JSON(event->context, "remote", "true");
    raw_end(fd);

    fd = raw_connect(port);
    client = accepted_with(fd, "");
    close(fd);
    event = AWAIT("close", client);
    CHECK_JSON(event->context, "code", "1006");
    CHECK_JSON(event->context, "remote", "true");

    fd = raw_connect(port);
    client = accepted_with(fd, "");
    DONE(wsplug_client_stop(client, "{\"code\":4002,\"reason\":\"because\",\"wait\":false}", NULL));
    CHECK_INT(raw_close_code(fd), 4002);
    CHECK(raw_frame(fd, 0x88, true, "\x0F\xA2", 2));
    event = AWAIT("close", client);
    CHECK_JSON(event->context, "code", "4002");
    CHECK_JSON(event->context, "remote", "false");
    raw_end(fd);

    fd = raw_connect(port);
    client = accepted_with(fd, "");
    CHECK(raw_frame(fd, 0x81, true, "\xC3\x28", 2));
    CHECK_INT(raw_close_code(fd), 1007);
    event = AWAIT("close", client);
    CHECK_JSON(event->context, "code", "1007");
    CHECK_JSON(event->context, "remote", "false");
    CHECK(*json_text(event->context, "reason") != 0);
    close(fd);

    fd = raw_connect(port);
    client = accepted_with(fd, "");
    CHECK(raw_frame(fd, 0x81, false, "unmasked", 8));
    CHECK_INT(raw_close_code(fd), 1002);
    event = AWAIT("close", client);
    CHECK_JSON(event->context, "code", "1002");
    close(fd);
    CHECK_INT(count_events("open", server), count_events("close", server));
}

static void error_tells_why_and_when_it_is_tried_again(void)
{
    int their_port, listener = raw_listen(&their_port);
    close(listener);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/','retryFirst':true}", their_port));
    DONE(wsplug_client_start(client, "{\"wait\":false}", NULL));
    for (int i = 1; i <= 3; i++) {
        struct event *event = AWAIT("error", client);
        CHECK_MEMBERS(event->context, "", "reason http_status wait_time retries decompressionError");
        CHECK(strstr(json_text(event->context, "reason"), strerror(ECONNREFUSED)) != NULL);
        CHECK_JSON(event->context, "http_status", "0");
        CHECK_JSON(event->context, "decompressionError", "false");
        CHECK_INT(json_int(event->context, "retries"), i);
        CHECK(json_int(event->context, "wait_time") >= 0);
    }
    DONE(wsplug_client_clear(client, NULL));

    /* Where nothing is tried again there is one. A start that waits has it in its reply instead. */
    client = new_client(json("{'url':'ws://127.0.0.1:%d/','enableAutomaticReconnection':false}", their_port));
    DONE(wsplug_client_start(client, "{\"wait\":false}", NULL));
    CHECK_JSON(AWAIT("error", client)->context, "wait_time", "0");
    DONE(wsplug_client_stop(client, NULL, NULL));
    REFUSED(WSPLUG_NETWORK, wsplug_client_start(client, NULL, NULL));
    DONE(wsplug_client_clear(client, NULL));
    CHECK(event_within(0, "error", client) == NULL);
}

int main(void)
{
    begin();
    delivery = PULLED;
    server = new_server("{\"port\":0}");
    port = started(server);
    open_of_a_server();
    open_of_a_client();
    message_fragment_ping_and_pong();
    close_tells_how_it_ended();
    error_tells_why_and_when_it_is_tried_again();
    return finish();
}
