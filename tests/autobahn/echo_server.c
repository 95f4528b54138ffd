/* The server role for the Autobahn suite: sends back every text and binary message. Prints "listening PORT". */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)client, (void)type, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    int32_t status = wsplug_client_send(client, kind, data, length, NULL);
    (void)server, (void)user_data;
    /* The suite breaks connections on purpose, but it never sends more before it has the echo. */
    if (status == WSPLUG_QUEUE_FULL || status == WSPLUG_TOO_LARGE) {
        fprintf(stderr, "echo of %d bytes: %s\n", (int)length, wsplug_status_text(status));
        exit(1);
    }
}

static void check(int32_t status, const char *reply)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "%s: %s\n", wsplug_status_text(status), reply ? reply : "");
    exit(1);
}

int main(void)
{
    static const char options[] = "{\"port\":0,\"dispatch\":\"inline\",\"fragments\":false,"
                                  "\"maxMessage\":67108864,\"maxFragments\":131072,"
                                  "\"perMessageDeflate\":{\"enabled\":true,\"threshold\":0}}";
    char *reply = NULL, *port;
    int32_t server, status;
    int signal_number;
    sigset_t signals;

    /* Blocked before the library starts its threads, so that the signal waits for sigwait. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    check(wsplug_set_callbacks(on_event, on_message, NULL), NULL);
    status = wsplug_server_create(options, &server, &reply);
    check(status, reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, NULL, &reply);
    check(status, reply);
    port = strstr(reply, "\"port\":");
    printf("listening %d\n", port ? atoi(port + strlen("\"port\":")) : 0);
    fflush(stdout);
    wsplug_free(reply);

    sigwait(&signals, &signal_number);
    check(wsplug_shutdown(10000), NULL);
    return 0;
}
