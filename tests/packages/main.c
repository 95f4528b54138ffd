/* A program of somebody else's: a server that echoes and a client, in one process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsplug.h>

static void WSPLUG_API echo(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length, void *user_data)
{
    (void)server, (void)user_data;
    wsplug_client_send(client, kind, data, length, NULL);
}

int main(void)
{
    int32_t server, client, kind, length, status;
    char *reply = NULL, buffer[16], options[100];
    const char *port;

    if (wsplug_abi_version() != WSPLUG_ABI_VERSION) return 1;
    wsplug_set_method("echo", NULL, echo, NULL);
    if (wsplug_server_create("{\"port\":0,\"method\":\"echo\"}", &server, NULL) != WSPLUG_OK) return 2;
    if (wsplug_server_start(server, NULL, &reply) != WSPLUG_OK) return 3;
    port = strstr(reply, "\"port\":");
    snprintf(options, sizeof options, "{\"url\":\"ws://127.0.0.1:%d\"}", port != NULL ? atoi(port + 7) : 0);
    wsplug_free(reply);
    if (wsplug_client_create(options, &client, NULL) != WSPLUG_OK) return 4;
    if (wsplug_client_start(client, NULL, NULL) != WSPLUG_OK) return 5;
    if (wsplug_client_send(client, WSPLUG_TEXT, "hello", 5, NULL) != WSPLUG_OK) return 6;
    status = wsplug_client_receive(client, 10000, &kind, buffer, sizeof buffer, &length);
    if (status != WSPLUG_OK) return 7;
    printf("%s says %.*s\n", wsplug_version(), (int)length, buffer);
    return wsplug_shutdown(5000);
}
