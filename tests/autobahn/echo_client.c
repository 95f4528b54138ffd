/* The client role for the Autobahn suite: echo_client URL AGENT runs all cases, each with a client of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static void check(int32_t status, const char *what, const char *reply)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, wsplug_status_text(status), reply ? reply : "");
    exit(1);
}

/* Sends back every message until the peer closes; returns the last message as a number. */
static int echo(const char *uri)
{
    char options[512], text[16], *reply = NULL;
    int32_t client;
    int number = 0, is_over = 0;

    snprintf(options, sizeof options,
             "{\"url\":\"%s\",\"enableAutomaticReconnection\":false,\"fragments\":false,"
             "\"maxMessage\":67108864,\"maxFragments\":131072}", uri);
    check(wsplug_client_create(options, &client, &reply), uri, reply);
    wsplug_free(reply);
    check(wsplug_client_start(client, NULL, &reply), uri, reply);
    wsplug_free(reply);

    while (!is_over) {
        wsplug_event *event;
        const char *type, *data;
        int32_t length;
        check(wsplug_event_next(60000, &event), uri, NULL);
        type = wsplug_event_type(event);
        if (strcmp(type, "message") == 0) {
            int32_t status;
            data = wsplug_event_data(event, &length);
            snprintf(text, sizeof text, "%.*s", (int)length, data);
            number = atoi(text);
            status = wsplug_client_send(client, wsplug_event_kind(event), data, length, NULL);
            /* The suite breaks connections on purpose, but it never sends more before it has the echo. */
            if (status == WSPLUG_QUEUE_FULL || status == WSPLUG_TOO_LARGE) check(status, uri, NULL);
        }
        is_over = strcmp(type, "close") == 0;
        wsplug_event_free(event);
    }
    check(wsplug_client_clear(client, NULL), uri, NULL);
    return number;
}

int main(int argc, char **argv)
{
    char uri[400];
    int count, i;
    if (argc != 3) {
        fprintf(stderr, "usage: echo_client URL AGENT\n");
        return 2;
    }
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
