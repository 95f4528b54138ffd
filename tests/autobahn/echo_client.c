/* The client role for the Autobahn suite: echo_client URL AGENT runs all cases, each with a client of its own. */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static sem_t closed;
static int last_number; /* the last message as a number; written before `closed` is posted, read after */

static void check(int32_t status, const char *what, char *reply)
{
    if (status != WSPLUG_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, wsplug_status_text(status), reply ? reply : "");
        exit(1);
    }
    wsplug_free(reply);
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)client, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
    if (strcmp(type, "close") == 0) sem_post(&closed);
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    char text[16];
    int32_t status = wsplug_client_send(client, kind, data, length, NULL);
    (void)server, (void)user_data;
    /* The suite breaks connections on purpose, but it never sends more before it has the echo. */
    if (status == WSPLUG_QUEUE_FULL || status == WSPLUG_TOO_LARGE) check(status, "echo", NULL);
    snprintf(text, sizeof text, "%.*s", (int)length, (const char *)data);
    last_number = atoi(text);
}

/* Sends back every message until the peer closes; returns the last message as a number. */
static int echo(const char *uri)
{
    char options[600], *reply = NULL;
    int32_t client, status;

    /* Inline, so that what came before a broken frame is answered before the connection fails. */
    snprintf(options, sizeof options,
             "{\"url\":\"%s\",\"enableAutomaticReconnection\":false,\"dispatch\":\"inline\",\"fragments\":false,"
             "\"maxMessage\":67108864,\"maxFragments\":131072,\"perMessageDeflate\":{\"enabled\":true,\"threshold\":0}}", uri);
    status = wsplug_client_create(options, &client, &reply);
    check(status, uri, reply);
    status = wsplug_client_start(client, NULL, &reply);
    check(status, uri, reply);
    while (sem_wait(&closed) != 0) continue; /* a signal interrupted it */
    check(wsplug_client_clear(client, NULL), uri, NULL);
    return last_number;
}

int main(int argc, char **argv)
{
    char uri[400];
    int count, i;
    if (argc != 3) {
        fprintf(stderr, "usage: echo_client URL AGENT\n");
        return 2;
    }
    sem_init(&closed, 0, 0);
    check(wsplug_set_callbacks(on_event, on_message, NULL), "callbacks", NULL);
    snprintf(uri, sizeof uri, "%s/getCaseCount", argv[1]);
    count = echo(uri);
    for (i = 1; i <= count; i++) {
        snprintf(uri, sizeof uri, "%s/runCase?case=%d&agent=%s", argv[1], i, argv[2]);
        echo(uri);
    }
    snprintf(uri, sizeof uri, "%s/updateReports?agent=%s", argv[1], argv[2]);
    echo(uri);
    check(wsplug_shutdown(10000), "shutdown", NULL);
    return 0;
}
