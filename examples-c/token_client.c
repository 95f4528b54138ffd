/* A client that shows a token, over TLS: token_client [url [caFile [token [text]]]]. It sends one message and waits until it
   comes back. The token goes into a header, inside of TLS; the certificate of the server is verified before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static void check(int32_t status, char *reply)
{
    if (status != WSPLUG_OK) {
        fprintf(stderr, "token_client: %s %s\n", wsplug_status_text(status), reply ? reply : "");
        exit(1);
    }
    wsplug_free(reply);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "wss://localhost:8443/";
    const char *authority = argc > 2 ? argv[2] : "certificate.pem"; /* "SYSTEM": those of the operating system */
    const char *token = argc > 3 ? argv[3] : "secret";
    const char *text = argc > 4 ? argv[4] : "hello";
    char options[3000], *reply = NULL;
    int32_t client, status;
    int is_open = 1;

    snprintf(options, sizeof options,
             "{\"url\":\"%s\",\"tls\":{\"caFile\":\"%s\"},\"headers\":{\"Authorization\":\"Bearer %s\"},"
             "\"enableAutomaticReconnection\":false}", url, authority, token);
    status = wsplug_client_create(options, &client, &reply);
    check(status, reply);
    status = wsplug_client_start(client, NULL, &reply);
    check(status, reply); /* a certificate or a token that is refused is said here */
    status = wsplug_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), &reply);
    check(status, reply);

    while (is_open) {
        wsplug_event *event;
        int32_t length;
        const char *data;

        check(wsplug_event_next(10000, &event), NULL);
        data = wsplug_event_data(event, &length);
        if (strcmp(wsplug_event_type(event), "message") == 0) {
            printf("%.*s\n", (int)length, data);
            status = wsplug_client_stop(client, NULL, &reply);
            check(status, reply);
        }
        if (strcmp(wsplug_event_type(event), "close") == 0) is_open = 0;
        wsplug_event_free(event);
    }
    check(wsplug_shutdown(5000), NULL);
    return 0;
}
