/* A forked child is refused, however it ends; the parent goes on. */
#include "raw.h"

#include <sys/wait.h>

static int32_t server, client;
static int is_child;

/* Asked by LeakSanitizer at the end: what the threads of the parent hold looks lost in a child, which has no threads. */
int __lsan_is_turned_off(void)
{
    return is_child;
}

static int in_child(void)
{
    int32_t made = 0;
    wsplug_event *event = NULL;
    reply = NULL; /* the parent's */
    REFUSED(WSPLUG_FORKED, wsplug_client_send(client, WSPLUG_TEXT, "x", 1, replied()));
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "error.name", "'forked'");
    REFUSED(WSPLUG_FORKED, wsplug_server_send(server, WSPLUG_TEXT, "x", 1, NULL, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_server_create(NULL, &made, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_client_create("{\"url\":\"ws://127.0.0.1:9/\"}", &made, replied()));
    CHECK_INT(made, 0);
    REFUSED(WSPLUG_FORKED, wsplug_server_start(server, NULL, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_server_stop(server, NULL, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_server_clients(server, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_server_messages(server, NULL, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_server_clear(server, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_client_start(client, NULL, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_client_stop(client, NULL, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_client_messages(client, NULL, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_client_clear(client, replied()));
    REFUSED(WSPLUG_FORKED, wsplug_event_next(-1, &event));
    REFUSED(WSPLUG_FORKED, wsplug_pump(-1, 1));
    REFUSED(WSPLUG_FORKED, wsplug_shutdown(1000));
    REFUSED(WSPLUG_FORKED, wsplug_init(NULL, replied()));
    CHECK_TEXT(wsplug_status_text(WSPLUG_FORKED), wsplug_status_text(WSPLUG_FORKED));
    wsplug_free(reply);
    return 0;
}

static void fork_and_wait(bool with_exit_handlers)
{
    int status = -1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        is_child = 1;
        alarm((unsigned)(allowed_ms(20000) / 1000));
        int result = in_child();
        if (with_exit_handlers)
            exit(result);
        _exit(result);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (status != 0)
        failed(__FILE__, __LINE__, "the child ended with status 0x%x", status);
}

int main(void)
{
    begin();
    DONE(wsplug_set_callbacks(on_event, on_message, NULL));
    server = new_server("{\"port\":0}");
    int port = started(server);
    int fd = raw_client(port);
    client = connected(port);
    AWAIT("open", server);
    AWAIT("open", server);
    for (int i = 0; i < 4; i++) {
        fork_and_wait(i % 2 == 0);
        DONE(send_text(client, "still here"));
        CHECK_TEXT(AWAIT("message", server)->data, "still here");
        CHECK(raw_frame(fd, 0x89, true, "?", 1));
        struct frame pong = raw_receive(fd);
        CHECK_INT(pong.first, 0x8A);
        free(pong.payload);
    }
    DONE(wsplug_client_clear(client, NULL));
    AWAIT("close", server);
    CHECK_INT(count_events("close", server), 1);
    DONE(wsplug_server_clear(server, NULL));
    raw_end(fd);
    return finish();
}
