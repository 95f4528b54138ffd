/* The peer goes away between two sends. SIGPIPE would kill this program; a "close" with 1006 must come instead. */
#include "raw.h"

/* Ends the connection with a reset, so that the next write to it fails. */
static void vanish(int fd)
{
    struct linger at_once = {1, 0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    close(fd);
}

/* Sends until the library has noticed. */
static void send_into_the_void(int32_t client, int fd)
{
    char data[4096] = {0};
    DONE(wsplug_client_send(client, WSPLUG_BINARY, data, sizeof data, replied()));
    vanish(fd);
    int32_t status = WSPLUG_OK;
    for (int64_t deadline = now_ms() + PATIENCE_MS; status >= 0 && now_ms() < deadline;) {
        status = wsplug_client_send(client, WSPLUG_BINARY, data, sizeof data, NULL);
        if (status == WSPLUG_QUEUE_FULL)
            status = WSPLUG_OK;
    }
    CHECK(status == WSPLUG_UNKNOWN_REF || status == WSPLUG_WRONG_STATE);
    struct event *closed = AWAIT("close", client);
    CHECK_JSON(closed->context, "code", "1006");
    CHECK_JSON(closed->context, "remote", "true");
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    const char *mode = arguments[1];
    delivery = strcmp(mode, "pump") == 0 ? PUMPED : CALLED;
    begin();
    DONE(wsplug_set_callbacks(on_event, on_message, NULL));
    int32_t server = new_server(json("{'port':0,%s}", dispatched(mode)));
    int port = started(server), their_port;
    for (int i = 0; i < 20; i++) {
        int fd = raw_client(port);
        send_into_the_void(AWAIT("open", server)->client, fd);
    }

    int listener = raw_listen(&their_port);
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/',%s,'enableAutomaticReconnection':false}",
                                     their_port, dispatched(mode)));
    for (int i = 0; i < 20; i++) {
        DONE(wsplug_client_start(client, "{\"wait\":false}", replied()));
        int fd = raw_accept(listener);
        raw_answer(fd, "");
        AWAIT("open", client);
        send_into_the_void(client, fd);
    }
    close(listener);
    return finish();
}
