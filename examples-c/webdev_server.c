/*
 * WEBDEV's "WebSocket server" project: webdev_server [port [interval]], Ctrl-C stops it. It tells every client the time, and:
 *
 *     wave 2    lets client 2 know, in the context of client 2
 *     visits    asks the global service, in its own context
 *     bye       disconnects
 *
 * anything else is answered with the number of messages so far, which is a global of the client's own.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wsplug.h"

static int32_t server;

/* ---- globals: each client has its own copy, and the service has one ---- */

typedef int32_t(WSPLUG_API *get_value)(int32_t ref, const char *key, char **value);
typedef int32_t(WSPLUG_API *set_value)(int32_t ref, const char *key, const char *value);

/* Adds to a number, and returns it. */
static long global(int32_t ref, get_value get, set_value set, const char *name, long more)
{
    char *value = NULL, text[24];
    long number;
    get(ref, name, &value);
    number = (value ? atol(value) : 0) + more;
    snprintf(text, sizeof text, "%ld", number);
    set(ref, name, text);
    wsplug_free(value);
    return number;
}

static long service_global(const char *name, long more)
{
    return global(server, wsplug_server_get_value, wsplug_server_set_value, name, more);
}

static long client_global(int32_t client, const char *name, long more)
{
    return global(client, wsplug_client_get_value, wsplug_client_set_value, name, more);
}

/* WebSocketSend */
static void send_text(int32_t client, const char *text)
{
    wsplug_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), NULL);
}

/* ---- the procedures of WebSocketExecute and WebSocketExecuteGlobalService ---- */

static void wave(int32_t client, long from)
{
    char text[100];
    snprintf(text, sizeof text, "client %ld waves; you have sent %ld messages", from, client_global(client, "messages", 0));
    send_text(client, text);
}

static void tell_visits(long to)
{
    char text[100];
    snprintf(text, sizeof text, "%ld visits", service_global("visits", 0));
    send_text((int32_t)to, text);
}

/* ---- the project's events ---- */

/* PROCEDURE GlobalService()<interval=...> */
static void global_service(void)
{
    char text[32], *clients = NULL, *next;
    time_t now = time(NULL);
    struct tm local;
    long client;

    strftime(text, sizeof text, "it is %H:%M:%S", localtime_r(&now, &local));
    wsplug_server_clients(server, &clients); /* WebSocketListConnectedClient: [1,2,3] */
    next = clients + 1;
    while ((client = strtol(next, &next, 10)) > 0) {
        send_text((int32_t)client, text);
        next++;
    }
    wsplug_free(clients);
    service_global("calls", 1);
}

/* PROCEDURE Connection(Client is websocketClient) */
static void connection(int32_t client)
{
    printf("connection of %d\n", (int)client);
    wsplug_server_execute(server, "count_visit", NULL, NULL); /* WebSocketExecuteGlobalService */
}

/* PROCEDURE ReceiveMessage(Client is websocketClient, vMessage is Variant) */
static void receive_message(int32_t client, int32_t kind, const char *data, int length)
{
    char params[24], text[100];
    long number = client_global(client, "messages", 1);

    printf("message of %d: %.*s\n", (int)client, kind == WSPLUG_TEXT ? length : 0, data);
    snprintf(params, sizeof params, "%d", (int)client);
    snprintf(text, sizeof text, "%.*s", length, data); /* there is no NUL behind it */
    if (strncmp(text, "wave ", 5) == 0) {
        wsplug_client_execute(atoi(text + 5), "wave", params, NULL); /* WebSocketExecute */
    } else if (strcmp(text, "visits") == 0) {
        wsplug_server_execute(server, "tell_visits", params, NULL); /* WebSocketExecuteGlobalService */
    } else if (strcmp(text, "bye") == 0) {
        wsplug_client_stop(client, "{\"code\":1000,\"reason\":\"see you\"}", NULL); /* WebSocketDisconnect */
    } else {
        snprintf(text, sizeof text, "message %ld", number);
        send_text(client, text);
    }
}

/* PROCEDURE Disconnection(Client is websocketClient) */
static void disconnection(int32_t client)
{
    printf("disconnection of %d\n", (int)client);
}

/* Stop global service */
static void stop_global_service(void)
{
    printf("stopped after %ld visits, the service %s called\n", service_global("visits", 0),
           service_global("calls", 0) > 0 ? "was" : "was not");
}

/* What was asked to be executed: {"procedure":"wave","params":1} */
static void execute(int32_t client, const char *context)
{
    const char *params = strstr(context, "\"params\":");
    long number = params ? atol(params + strlen("\"params\":")) : 0;

    if (strstr(context, "\"wave\"")) wave(client, number);
    else if (strstr(context, "\"count_visit\"")) service_global("visits", 1);
    else if (strstr(context, "\"tell_visits\"")) tell_visits(number);
}

/* ---- the library ---- */

static void WSPLUG_API on_event(int32_t of_server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)of_server, (void)worker, (void)window, (void)process, (void)user_data;
    if (strcmp(type, "service") == 0) global_service();
    else if (strcmp(type, "open") == 0) connection(client);
    else if (strcmp(type, "close") == 0) disconnection(client);
    else if (strcmp(type, "stopped") == 0) stop_global_service();
    else if (strcmp(type, "execute") == 0) execute(client, context);
}

static void WSPLUG_API on_message(int32_t of_server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    (void)of_server, (void)user_data;
    receive_message(client, kind, data, (int)length);
}

static void check(int32_t status, const char *reply)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "webdev_server: %s %s\n", wsplug_status_text(status), reply ? reply : "");
    exit(1);
}

int main(int argc, char **argv)
{
    char options[300], *reply = NULL, *port;
    int32_t status;
    int signal_number;
    sigset_t signals;

    /* Blocked before the library starts its threads, so that Ctrl-C comes to sigwait below. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);

    /* Each client and the service has a context of its own: they run independently, and each always on the same thread,
       where it may have its own connection to a database. "path" is the project's name in the url. */
    snprintf(options, sizeof options,
             "{\"port\":%d,\"path\":\"/project\",\"interval\":\"%s\",\"dispatch\":\"perConnection\",\"affinity\":true}",
             argc > 1 ? atoi(argv[1]) : 8080, argc > 2 ? argv[2] : "10 s");
    check(wsplug_set_callbacks(on_event, on_message, NULL), NULL);
    status = wsplug_server_create(options, &server, &reply);
    check(status, reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, NULL, &reply);
    check(status, reply);
    port = strstr(reply, "\"port\":"); /* the real one, if 0 was asked for */
    printf("listening on ws://127.0.0.1:%d/project\n", port ? atoi(port + strlen("\"port\":")) : 0);
    wsplug_free(reply);

    sigwait(&signals, &signal_number);
    check(wsplug_server_stop(server, NULL, NULL), NULL);
    check(wsplug_shutdown(5000), NULL);
    printf("ended\n");
    return 0;
}
