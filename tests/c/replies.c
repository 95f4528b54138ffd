/* The reply of every command has the members that it always has, done or failed. */
#include "raw.h"

static const char server_options[] =
    "port host backlog maxConnections method worker window process handshakeTimeoutMs closeTimeoutMs maxMessage "
    "maxFragments maxHeadBytes pingInterval pingTimeout sendQueueBytes sendStallMs eventQueueBytes "
    "maxPendingHandshakes maxPerIp protocols origins paths files fragments drain";
static const char client_options[] =
    "url method worker window process pingInterval pingTimeout enableAutomaticReconnection enablePong "
    "perMessageDeflate headers protocols timeout closeTimeoutMs maxMessage maxFragments "
    "maxHeadBytes sendQueueBytes sendStallMs eventQueueBytes maxWaitBetweenReconnectionRetries fragments drain";

/* At least these members. */
static void check_has(const char *names)
{
    char name[64];
    for (int length; sscanf(names, "%63s%n", name, &length) == 1; names += length)
        if (!json_has(reply, name))
            failed(__FILE__, __LINE__, "no \"%s\" in %s", name, reply);
}

static int32_t creating_gives_the_configuration(void)
{
    int32_t server = new_server(NULL);
    check_has(server_options);
    CHECK_INT(json_int(reply, "ref"), server);
    CHECK_JSON(reply, "port", "8080");
    CHECK_JSON(reply, "host", "'127.0.0.1'");
    CHECK_JSON(reply, "method", "''");
    CHECK_JSON(reply, "worker", "''");
    CHECK_JSON(reply, "window", "0");
    CHECK_JSON(reply, "process", "0");
    CHECK(!json_has(reply, "success"));
    CHECK(!json_has(reply, "ignoredOptions"));
    DONE(wsplug_server_clear(server, replied()));
    CHECK_TEXT(reply, "{}");

    int32_t client = new_client("{\"url\":\"ws://127.0.0.1:9/\"}");
    check_has(client_options);
    CHECK_INT(json_int(reply, "ref"), client);
    CHECK_JSON(reply, "url", "'ws://127.0.0.1:9/'");
    CHECK_JSON(reply, "enableAutomaticReconnection", "true");
    CHECK_JSON(reply, "enablePong", "true");
    CHECK_JSON(reply, "timeout", "20");
    CHECK_JSON(reply, "perMessageDeflate.clientNoContextTakeover", "false");
    CHECK_JSON(reply, "perMessageDeflate.serverNoContextTakeover", "false");
    CHECK_JSON(reply, "perMessageDeflate.clientMaxWindowBits", "15");
    CHECK_JSON(reply, "perMessageDeflate.enabled", "false");
    CHECK_JSON(reply, "perMessageDeflate.serverMaxWindowBits", "15");
    DONE(wsplug_client_clear(client, replied()));
    CHECK_TEXT(reply, "{}");
    return new_server("{\"port\":0,\"protocols\":[\"soap\",\"mqtt\"]}");
}

static int starting_a_server(int32_t server)
{
    DONE(wsplug_server_start(server, NULL, replied()));
    CHECK_MEMBERS(reply, "", "success message host port");
    CHECK_JSON(reply, "host", "'127.0.0.1'");
    CHECK_JSON(reply, "success", "true");
    json_text(reply, "message");
    int port = (int)json_int(reply, "port");
    CHECK(port > 0);

    int32_t second = new_server(json("{'port':%d}", port));
    REFUSED(WSPLUG_NETWORK, wsplug_server_start(second, NULL, replied()));
    CHECK_MEMBERS(reply, "", "success message host port error");
    CHECK_MEMBERS(reply, "error", "code name message");
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "error.code", "-7");
    CHECK_JSON(reply, "error.name", "'network'");
    CHECK(strstr(json_text(reply, "message"), json("%d", port)) != NULL);
    CHECK(strstr(json_text(reply, "message"), json("server %d", server)) != NULL);
    int taken, listener = raw_listen(&taken);
    REFUSED(WSPLUG_NETWORK, wsplug_server_start(second, json("{'port':%d}", taken), replied()));
    CHECK_MEMBERS(reply, "", "success message host port error");
    CHECK(strstr(json_text(reply, "message"), json("%d", taken)) != NULL);
    CHECK(strstr(json_text(reply, "message"), strerror(EADDRINUSE)) != NULL);
    close(listener);
    DONE(wsplug_server_clear(second, NULL));
    return port;
}

static int32_t starting_a_client(int port)
{
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/path?q=1','protocols':'mqtt'}", port));
    DONE(wsplug_client_start(client, NULL, replied()));
    CHECK_MEMBERS(reply, "", "success http_status errorStr uri url headers protocol extensions");
    CHECK_JSON(reply, "success", "true");
    CHECK_JSON(reply, "http_status", "101");
    CHECK_JSON(reply, "errorStr", "''");
    CHECK(strstr(json_text(reply, "uri"), "/path?q=1") != NULL);
    CHECK_JSON(reply, "protocol", "'mqtt'");
    CHECK_JSON(reply, "extensions", "''");
    CHECK(json_has(reply, "headers"));
    return client;
}

static void starting_a_client_fails(void)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 4\r\n\r\nbusy";
    int port, listener = raw_listen(&port);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/','enableAutomaticReconnection':false}", port));
    DONE(wsplug_client_start(client, "{\"wait\":false}", replied()));
    CHECK_JSON(reply, "success", "true");
    int fd = raw_accept(listener);
    raw_head(fd);
    CHECK(raw_write(fd, answer, sizeof answer - 1));
    struct event *event = AWAIT("error", client);
    CHECK_JSON(event->context, "http_status", "503");
    CHECK_JSON(event->context, "headers", "{'Retry-After':'5','Content-Length':'4'}");
    CHECK_JSON(event->context, "body", "'busy'");
    raw_end(fd);
    DONE(wsplug_client_stop(client, NULL, replied()));

    close(listener);
    REFUSED(WSPLUG_NETWORK, wsplug_client_start(client, NULL, replied()));
    CHECK_MEMBERS(reply, "", "success http_status errorStr uri url headers body protocol extensions error");
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "http_status", "0");
    CHECK(strstr(json_text(reply, "errorStr"), strerror(ECONNREFUSED)) != NULL);
    CHECK_JSON(reply, "headers", "{}");
    CHECK_JSON(reply, "body", "''");
    CHECK_MEMBERS(reply, "error", "code name message");
    CHECK_JSON(reply, "error.code", "-7");
    DONE(wsplug_client_clear(client, NULL));
}

/* A server that answers with something else than 101 is in the reply with its status. */
static void *refuse(void *listener)
{
    static const char answer[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    int fd = raw_accept(*(int *)listener);
    raw_head(fd);
    CHECK(raw_write(fd, answer, sizeof answer - 1));
    raw_end(fd);
    return NULL;
}

static void an_http_answer_is_in_the_reply(void)
{
    pthread_t thread;
    int port, listener = raw_listen(&port);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/','enableAutomaticReconnection':false}", port));
    CHECK(pthread_create(&thread, NULL, refuse, &listener) == 0);
    REFUSED(WSPLUG_NETWORK, wsplug_client_start(client, NULL, replied()));
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "http_status", "404");
    CHECK(strstr(json_text(reply, "errorStr"), "404") != NULL);
    pthread_join(thread, NULL);
    close(listener);
    DONE(wsplug_client_clear(client, NULL));
}

static void sending_as_a_client(int32_t client)
{
    DONE(wsplug_client_send(client, WSPLUG_TEXT, "h\xC3\xA9", 3, replied()));
    CHECK_MEMBERS(reply, "", "success compressionError payloadSize wireSize");
    CHECK_JSON(reply, "success", "true");
    CHECK_JSON(reply, "compressionError", "false");
    CHECK_JSON(reply, "payloadSize", "3");
    CHECK_JSON(reply, "wireSize", "3");
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_send(client + 1000, WSPLUG_TEXT, "x", 1, replied()));
    CHECK_MEMBERS(reply, "", "success compressionError payloadSize wireSize error");
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "wireSize", "0");
}

static void sending_as_a_server(int32_t server, int port)
{
    DONE(wsplug_server_clients(server, replied()));
    CHECK_INT(json_count(reply, ""), 1);
    int32_t first = (int32_t)json_int(reply, "0");
    AWAIT("open", server);
    int fd = raw_client(port), other = raw_client(port);
    int32_t second = AWAIT("open", server)->client, third = AWAIT("open", server)->client;
    if (second > third) {
        int32_t swap = second;
        second = third, third = swap;
    }
    DONE(wsplug_server_clients(server, replied()));
    CHECK_TEXT(reply, json("[%d,%d,%d]", first, second, third));

    DONE(wsplug_server_send(server, WSPLUG_TEXT, "all", 3, NULL, replied()));
    CHECK_INT(json_count(reply, ""), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_MEMBERS(reply, json("%d", i), "client success compressionError payloadSize wireSize");
        CHECK_INT(json_int(reply, json("%d.client", i)), i == 0 ? first : i == 1 ? second : third);
        CHECK_JSON(reply, json("%d.success", i), "true");
        CHECK_JSON(reply, json("%d.wireSize", i), "3");
    }
    DONE(wsplug_server_send(server, WSPLUG_TEXT, "some", 4, json("{'clients':[%d,%d]}", third, first), replied()));
    CHECK_INT(json_count(reply, ""), 2);
    CHECK_INT(json_int(reply, "0.client"), third);
    CHECK_INT(json_int(reply, "1.client"), first);
    DONE(wsplug_server_send(server, WSPLUG_TEXT, "nobody", 6, "{\"clients\":[]}", replied()));
    CHECK_TEXT(reply, "[]");

    /* A target that is not there has its status too; the others get the message. */
    wsplug_server_send(server, WSPLUG_TEXT, "one", 3, json("{'clients':[%d,%d,0,%d]}", third + 1000, third, server), replied());
    CHECK_INT(json_count(reply, ""), 4);
    CHECK_MEMBERS(reply, "0", "client success compressionError payloadSize wireSize error");
    CHECK_INT(json_int(reply, "0.client"), third + 1000);
    CHECK_JSON(reply, "0.success", "false");
    CHECK_JSON(reply, "0.error.code", "-3");
    CHECK_JSON(reply, "1.success", "true");
    CHECK_JSON(reply, "2.success", "false");
    CHECK_JSON(reply, "3.success", "false");
    CHECK_JSON(reply, "3.error.name", "'unknown_ref'");

    /* Nobody got what was not for him: `fd` and `other` in some order got "all", and the third also "some" and "one". */
    const int fds[] = {fd, other};
    int frames = 0;
    DONE(wsplug_server_stop(server, "{\"wait\":false}", NULL));
    for (int i = 0; i < 2; i++) {
        struct frame frame = raw_receive(fds[i]);
        CHECK_TEXT((char *)frame.payload, "all");
        for (; frame.first != 0x88; frames++) {
            free(frame.payload);
            frame = raw_receive(fds[i]);
            CHECK(frame.first >= 0);
        }
        free(frame.payload);
        close(fds[i]);
    }
    CHECK_INT(frames, 4);
}

static void stopping_gives_the_configuration(int32_t server, int32_t client)
{
    DONE(wsplug_client_stop(client, "{\"window\":9}", replied()));
    check_has(client_options);
    CHECK_JSON(reply, "success", "true");
    CHECK_INT(json_int(reply, "ref"), client);
    CHECK_JSON(reply, "window", "9");
    DONE(wsplug_server_stop(server, "{\"worker\":\"w\",\"maxConnections\":3}", replied()));
    check_has(server_options);
    CHECK_JSON(reply, "success", "true");
    CHECK_INT(json_int(reply, "ref"), server);
    CHECK_JSON(reply, "worker", "'w'");
    CHECK_JSON(reply, "maxConnections", "3");
    CHECK_JSON(reply, "protocols", "['soap','mqtt']");
}

int main(void)
{
    begin();
    delivery = PULLED;
    int32_t server = creating_gives_the_configuration();
    int port = starting_a_server(server);
    int32_t client = starting_a_client(port);
    starting_a_client_fails();
    an_http_answer_is_in_the_reply();
    sending_as_a_client(client);
    sending_as_a_server(server, port);
    stopping_gives_the_configuration(server, client);
    DONE(wsplug_client_clear(client, replied()));
    CHECK_TEXT(reply, "{}");
    DONE(wsplug_server_clear(server, replied()));
    CHECK_TEXT(reply, "{}");
    return finish();
}
