/* WINDEV's WebSocketClientConnect, synchronous: connects, sends a text and waits for the answer.
   windev_synchronous [address [port [path]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

/* WebSocketClientConnect(name, address, port, path): 1 if it is connected. */
static int web_socket_client_connect(const char *name, const char *address, int port, const char *path)
{
    char options[500], *reply = NULL;
    int32_t client;

    snprintf(options, sizeof options,
             "{\"name\":\"%s\",\"address\":\"%s\",\"port\":%d,\"path\":\"%s\",\"enableAutomaticReconnection\":false}",
             name, address, port, path);
    if (wsplug_client_create(options, &client, &reply) == WSPLUG_OK) {
        wsplug_free(reply);
        if (wsplug_client_start(client, NULL, &reply) == WSPLUG_OK) {
            wsplug_free(reply);
            return 1;
        }
    }
    fprintf(stderr, "%s\n", reply); /* the reply of a command that failed says why */
    wsplug_free(reply);
    return 0;
}

/* SocketWrite(name, text): 1 if it is on its way. */
static int socket_write(const char *name, const char *text)
{
    int32_t client;
    return wsplug_client_find(name, &client) == WSPLUG_OK
        && wsplug_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), NULL) == WSPLUG_OK;
}

/* SocketRead(name, True, timeout): a whole message, "" if nothing came. The caller frees it. */
static char *socket_read(const char *name, int32_t timeout_ms)
{
    int32_t client, kind, length = 0, capacity = 256, status = WSPLUG_WRONG_STATE;
    char *text = malloc((size_t)capacity + 1);

    if (wsplug_client_find(name, &client) == WSPLUG_OK) {
        status = wsplug_client_receive(client, timeout_ms, &kind, text, capacity, &length);
        while (status == WSPLUG_BUFFER_TOO_SMALL) { /* nothing is lost: ask again with room */
            capacity = length;
            text = realloc(text, (size_t)capacity + 1);
            status = wsplug_client_receive(client, timeout_ms, &kind, text, capacity, &length);
        }
    }
    text[status == WSPLUG_OK ? length : 0] = 0;
    return text;
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1";
    int port = argc > 2 ? atoi(argv[2]) : 8080;
    const char *path = argc > 3 ? argv[3] : "/";
    int is_connected = web_socket_client_connect("wbsocket", address, port, path);

    if (is_connected && socket_write("wbsocket", "Bonjour le monde!")) {
        char *message = socket_read("wbsocket", 10000);
        printf("server's answer: %s\n", message);
        free(message);
    }
    wsplug_shutdown(5000); /* SocketClose and the end of the program */
    return is_connected ? 0 : 1;
}
