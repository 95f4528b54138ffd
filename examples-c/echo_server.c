/* A server that sends every message back: echo_server [port]. Ctrl-C ends it. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static void check(int32_t status, const char *reply)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "echo_server: %s %s\n", wsplug_status_text(status), reply ? reply : "");
    exit(1);
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
    printf("%s %d\n", type, (int)client);
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    int32_t status = wsplug_client_send(client, kind, data, length, NULL);
    (void)server, (void)user_data;
    if (status < 0) printf("no echo to %d: %s\n", (int)client, wsplug_status_text(status));
}

int main(int argc, char **argv)
{
    char options[100], *reply = NULL, *port;
    int32_t server, status;
    int signal_number;
    sigset_t signals;

    /* Blocked before the library starts its threads, so that Ctrl-C comes to sigwait below. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);

    /* "inline": the callbacks run on the network thread, the fastest way for callbacks as short as these. */
    snprintf(options, sizeof options, "{\"port\":%d,\"dispatch\":\"inline\"}", argc > 1 ? atoi(argv[1]) : 8080);
    check(wsplug_set_callbacks(on_event, on_message, NULL), NULL);
    status = wsplug_server_create(options, &server, &reply);
    check(status, reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, NULL, &reply);
    check(status, reply);
    port = strstr(reply, "\"port\":"); /* the real one, if 0 was asked for */
    printf("listening on port %d\n", port ? atoi(port + strlen("\"port\":")) : 0);
    wsplug_free(reply);

    sigwait(&signals, &signal_number);
    check(wsplug_shutdown(5000), NULL);
    return 0;
}
