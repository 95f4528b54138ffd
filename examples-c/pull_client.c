/* A client without callbacks: pull_client [url [text]] sends one message and asks for events until it comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static void check(int32_t status, char *reply)
{
    if (status != WSPLUG_OK) {
        fprintf(stderr, "pull_client: %s %s\n", wsplug_status_text(status), reply ? reply : "");
        exit(1);
    }
    wsplug_free(reply);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/";
    const char *text = argc > 2 ? argv[2] : "hello";
    char options[500], *reply = NULL;
    int32_t client, status;
    int is_open = 1;

    snprintf(options, sizeof options, "{\"url\":\"%s\",\"enableAutomaticReconnection\":false}", url);
    status = wsplug_client_create(options, &client, &reply);
    check(status, reply);
    status = wsplug_client_start(client, NULL, &reply);
    check(status, reply);
    status = wsplug_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), &reply);
    check(status, reply);

    while (is_open) {
        wsplug_event *event;
        int32_t length;
        const char *data;

        check(wsplug_event_next(10000, &event), NULL); /* WSPLUG_TIMEOUT: nobody answers */
        data = wsplug_event_data(event, &length);
        printf("%s: %s\n", wsplug_event_type(event), wsplug_event_context(event));

        if (strcmp(wsplug_event_type(event), "close") == 0) {
            is_open = 0;
        } else if (length == (int32_t)strlen(text) && memcmp(data, text, (size_t)length) == 0) {
            status = wsplug_client_stop(client, "{\"code\":1000,\"reason\":\"done\"}", &reply);
            check(status, reply);
        }
        wsplug_event_free(event);
    }
    check(wsplug_shutdown(5000), NULL);
    return 0;
}
