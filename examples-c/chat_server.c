/*
 * A chat: chat_server [port [folder of chat.html [certificate key]]]. It serves the page and passes every message on to
 * everyone who is there, telling them also who comes and goes; with a certificate and its key all of that goes over TLS.
 * Ctrl-C ends it.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static void check(int32_t status, const char *reply)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "chat_server: %s %s\n", wsplug_status_text(status), reply ? reply : "");
    exit(1);
}

/* The library calls back one event at a time, from a thread of its own, so that a plain variable will do. */
static int guests = 0;

static void tell_all(int32_t server, int32_t kind, const void *data, int32_t length)
{
    char *statuses = NULL;
    if (wsplug_server_send(server, kind, data, length, NULL, &statuses) < 0) printf("not sent: %s\n", statuses);
    wsplug_free(statuses);
}

static void announce(int32_t server, int32_t client, const char *what)
{
    char text[100];
    int length = snprintf(text, sizeof text, "* guest %d %s, %d here", (int)client, what, guests);
    tell_all(server, WSPLUG_TEXT, text, length);
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)worker, (void)window, (void)process, (void)user_data;
    printf("%s %d %s\n", type, (int)client, context);
    if (strcmp(type, "open") == 0) {
        guests++;
        announce(server, client, "joined");
    } else if (strcmp(type, "close") == 0) {
        guests--;
        announce(server, client, "left");
    }
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    (void)user_data;
    printf("message %d %.*s\n", (int)client, kind == WSPLUG_TEXT ? (int)length : 0, (const char *)data);
    tell_all(server, kind, data, length);
}

/* Who was not let in, and why. */
static void WSPLUG_API on_log(int32_t level, const char *message, void *user_data)
{
    (void)level, (void)user_data;
    printf("log %s\n", message);
}

int main(int argc, char **argv)
{
    /* The page lies beside the program, unless told otherwise. */
    char *slash = strrchr(argv[0], '/');
    const char *folder = argc > 2 ? argv[2] : slash ? argv[0] : ".";
    char options[3000], tls[2000] = "", *reply = NULL, *port;
    int32_t server, status;
    int signal_number;
    sigset_t signals;

    if (slash) *slash = '\0';

    /* Blocked before the library starts its threads, so that Ctrl-C comes to sigwait below. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc > 4) snprintf(tls, sizeof tls, ",\"tls\":{\"certFile\":\"%s\",\"keyFile\":\"%s\"}", argv[3], argv[4]);
    snprintf(options, sizeof options, "{\"port\":%d,\"files\":{\"/\":\"%s/chat.html\"}%s}",
             argc > 1 ? atoi(argv[1]) : 8080, folder, tls);
    check(wsplug_set_log_callback(WSPLUG_LOG_INFO, on_log, NULL), NULL);
    check(wsplug_set_callbacks(on_event, on_message, NULL), NULL);
    status = wsplug_server_create(options, &server, &reply);
    check(status, reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, NULL, &reply);
    check(status, reply);
    port = strstr(reply, "\"port\":"); /* the real one, if 0 was asked for */
    printf("listening on %s://127.0.0.1:%d/\n", argc > 4 ? "https" : "http", port ? atoi(port + strlen("\"port\":")) : 0);
    wsplug_free(reply);

    sigwait(&signals, &signal_number);
    check(wsplug_shutdown(5000), NULL);
    printf("ended\n");
    return 0;
}
