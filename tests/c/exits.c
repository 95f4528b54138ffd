/*
 * A program with a live server, live connections and a connection attempt that hangs ends at once, with its own
 * status (argument: exit or return).
 */
#include "raw.h"

#include <sys/wait.h>

/* A port whose queue of connections is full, so that a further attempt hangs. */
static int full_port(void)
{
    int port, listener = raw_listen(&port);
    CHECK(listen(listener, 0) == 0);
    for (int i = 0; i < 4; i++) {
        struct sockaddr_in address = raw_address(port);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(fd >= 0);
        int connecting = connect(fd, (struct sockaddr *)&address, sizeof address);
        CHECK(connecting == 0 || errno == EINPROGRESS);
    }
    return port;
}

static void live(void)
{
    DONE(wsplug_set_callbacks(on_event, on_message, NULL));
    int32_t server = new_server("{\"port\":0}");
    int port = started(server);
    connected(port);
    AWAIT("open", server);
    int32_t hanging = new_client(json("{'url':'ws://127.0.0.1:%d/'}", full_port()));
    DONE(wsplug_client_start(hanging, "{\"wait\":false}", replied()));
    int32_t resolving = new_client("{\"url\":\"ws://nowhere.invalid/\"}");
    DONE(wsplug_client_start(resolving, "{\"wait\":false}", replied()));
}

int main(int count, char **arguments)
{
    int64_t end = 0;
    int ends[2], status = 0;
    CHECK(count == 2 && pipe(ends) == 0);
    begin();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        live();
        end = now_ms();
        CHECK(write(ends[1], &end, sizeof end) == sizeof end);
        if (strcmp(arguments[1], "exit") == 0)
            exit(7);
        return 7;
    }
    CHECK(read(ends[0], &end, sizeof end) == sizeof end);
    CHECK(waitpid(child, &status, 0) == child);
    int64_t took = now_ms() - end;
    if (took >= PATIENCE_MS)
        failed(__FILE__, __LINE__, "ending took %lld ms", (long long)took);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
    return 0;
}
