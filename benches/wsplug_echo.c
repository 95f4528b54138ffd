/* wsplug as a C host uses it: the message callback (or the loop that pulls) sends each message back.
   Argument: inline (default), thread, pump or pull. Prints its port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../include/wsplug.h"

static void echo(int32_t client, int32_t kind, const void *data, int32_t length) {
    int32_t status = wsplug_client_send(client, kind, data, length, NULL);
    /* A load that ends leaves refs behind that are gone; a message refused for another reason spoils the measurement. */
    if (status < 0 && status != WSPLUG_UNKNOWN_REF && status != WSPLUG_WRONG_STATE && status != WSPLUG_NETWORK) {
        fprintf(stderr, "wsplug_echo: send: %s\n", wsplug_status_text(status));
        exit(1);
    }
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data) {
    (void)server, (void)client, (void)type, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data) {
    (void)server, (void)user_data;
    echo(client, kind, data, length);
}

static void pull(void) {
    wsplug_event *event;
    while (wsplug_event_next(-1, &event) == WSPLUG_OK) {
        if (strcmp(wsplug_event_type(event), "message") == 0) {
            int32_t length;
            const void *data = wsplug_event_data(event, &length);
            echo(wsplug_event_client(event), wsplug_event_kind(event), data, length);
        }
        wsplug_event_free(event);
    }
}

int main(int count, char **arguments) {
    const char *dispatch = count > 1 ? arguments[1] : "inline";
    int pulled = strcmp(dispatch, "pull") == 0;
    char options[256];
    snprintf(options, sizeof options,
             "{\"host\":\"127.0.0.1\",\"port\":0,\"sendQueueBytes\":67108864,\"maxConnections\":100000%s%s%s}",
             pulled ? "" : ",\"dispatch\":\"", pulled ? "" : dispatch, pulled ? "" : "\"");

    int32_t server;
    char *reply = NULL;
    if (!pulled) wsplug_set_callbacks(on_event, on_message, NULL);
    if (wsplug_server_create(options, &server, &reply) < 0 || (wsplug_free(reply), wsplug_server_start(server, NULL, &reply)) < 0) {
        fprintf(stderr, "wsplug_echo: %s\n", reply);
        return 1;
    }
    const char *port = strstr(reply, "\"port\":");
    printf("%d\n", port ? atoi(port + strlen("\"port\":")) : 0);
    fflush(stdout);
    wsplug_free(reply);

    if (pulled) pull();
    else if (strcmp(dispatch, "pump") == 0) while (wsplug_pump(-1, 0) >= 0) {}
    else for (;;) pause();
    return 0;
}
