/* WINDEV's WebSocketClientConnect, asynchronous: a procedure is called with what happens, in the main thread.
   windev_asynchronous [address [port [path]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static int is_over = 0, has_failed = 0; /* no lock: the procedure runs in the main thread only */

/* The procedure: SocketOpening, SocketMessage, SocketClosing and SocketError are four types. */
static void WSPLUG_API happened(int32_t server, int32_t client, const char *type, const char *context, const char *worker,
                                int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)worker, (void)window, (void)process, (void)user_data;
    if (strcmp(type, "open") == 0) {
        const char *text = "Message sent from the client.";
        wsplug_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), NULL);
    } else if (strcmp(type, "close") == 0) {
        printf("the socket closes: %s\n", context);
        is_over = 1;
    } else if (strcmp(type, "error") == 0) {
        fprintf(stderr, "error of the socket: %s\n", context);
        is_over = has_failed = 1;
    }
}

static void WSPLUG_API message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                               void *user_data)
{
    (void)server, (void)client, (void)kind, (void)user_data;
    printf("message of the server: %.*s\n", (int)length, (const char *)data);
}

/* WebSocketClientConnect(name, procedure, address, port, path). */
static int web_socket_client_connect(const char *name, const char *procedure, const char *address, int port,
                                     const char *path)
{
    char options[500], *reply = NULL;
    int32_t client, status;

    snprintf(options, sizeof options,
             "{\"name\":\"%s\",\"method\":\"%s\",\"address\":\"%s\",\"port\":%d,\"path\":\"%s\","
             "\"dispatch\":\"pump\",\"enableAutomaticReconnection\":false}",
             name, procedure, address, port, path);
    status = wsplug_client_create(options, &client, &reply);
    if (status == WSPLUG_OK) {
        wsplug_free(reply);
        status = wsplug_client_start(client, "{\"wait\":false}", &reply); /* "open" or "error" tells */
    }
    if (status != WSPLUG_OK) fprintf(stderr, "%s\n", reply);
    wsplug_free(reply);
    return status == WSPLUG_OK;
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    int port = argc > 2 ? atoi(argv[2]) : 8080;
    const char *path = argc > 3 ? argv[3] : "/";

    wsplug_set_method("Callback", happened, message, NULL);
    if (!web_socket_client_connect("client", "Callback", address, port, path)) return 1;
    while (!is_over) {
        wsplug_pump(100, 0); /* the procedure runs in here; a program with windows does this in a timer */
    }
    wsplug_shutdown(5000);
    return has_failed;
}
