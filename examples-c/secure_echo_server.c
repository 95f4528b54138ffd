/* A server that sends every message back, over TLS: secure_echo_server [port [certificate key [token]]]. With a token,
   only clients that show it may connect. certificate.sh makes a certificate and its key. Ctrl-C ends it. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static void check(int32_t status, const char *reply)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "secure_echo_server: %s %s\n", wsplug_status_text(status), reply ? reply : "");
    exit(1);
}

/* The context of "open" has "tls": version, cipher, and who the client is if it showed a certificate. */
static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    const char *tls = strcmp(type, "open") == 0 ? strstr(context, "\"tls\":") : NULL;
    (void)server, (void)worker, (void)window, (void)process, (void)user_data;
    printf("%s %d %.*s\n", type, (int)client, tls ? (int)strcspn(tls, "}") + 1 : 0, tls ? tls : "");
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
    char options[2000], auth[500] = "", *reply = NULL, *port;
    int32_t server, status;
    int signal_number;
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc > 4) snprintf(auth, sizeof auth, ",\"auth\":{\"bearer\":[\"%s\"]}", argv[4]);
    snprintf(options, sizeof options,
             "{\"port\":%d,\"dispatch\":\"inline\",\"tls\":{\"certFile\":\"%s\",\"keyFile\":\"%s\"}%s}",
             argc > 1 ? atoi(argv[1]) : 8443, argc > 3 ? argv[2] : "certificate.pem",
             argc > 3 ? argv[3] : "certificate.key", auth);
    check(wsplug_set_callbacks(on_event, on_message, NULL), NULL);
    status = wsplug_server_create(options, &server, &reply);
    check(status, reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, NULL, &reply);
    check(status, reply);
    port = strstr(reply, "\"port\":");
    printf("listening on port %d\n", port ? atoi(port + strlen("\"port\":")) : 0);
    wsplug_free(reply);

    sigwait(&signals, &signal_number);
    check(wsplug_shutdown(5000), NULL);
    return 0;
}
