/*
 * A chat with rooms: chat_server [port [folder of chat.html [options [token]]]]. It serves the page and passes every message on to
 * those who are in the same room, which is the path of their WebSocket, telling them also who comes and goes. Options are further
 * ones of the server, such as {"tls":{"certFile":"…","keyFile":"…"}}. With a token, only who has it in the query gets in.
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

static const char *secret = NULL;

/* How many are subscribed to the topic of a room. */
static int guests(int32_t server, const char *room)
{
    char *info = NULL, name[100], *found = NULL;
    int count;
    snprintf(name, sizeof name, "\"%s\":", room);
    if (wsplug_server_info(server, &info) == WSPLUG_OK) found = strstr(info, name);
    count = found ? atoi(found + strlen(name)) : 0;
    wsplug_free(info);
    return count;
}

static void announce(int32_t server, int32_t client, const char *room, const char *what)
{
    char text[100];
    int length = snprintf(text, sizeof text, "* guest %d %s, %d here", (int)client, what, guests(server, room));
    wsplug_server_publish(server, room, WSPLUG_TEXT, text, length, NULL, NULL);
}

/* The room of a guest is kept with the server, under the guest's number: it is asked for when the guest has gone, too. */
static char *room_of(int32_t server, int32_t client)
{
    char key[16], *room = NULL;
    snprintf(key, sizeof key, "%d", (int)client);
    wsplug_server_get_value(server, key, &room);
    return room;
}

static void keep_room(int32_t server, int32_t client, const char *room)
{
    char key[16];
    snprintf(key, sizeof key, "%d", (int)client);
    wsplug_server_set_value(server, key, room);
}

/* The room is what the client asked for, up to the query. */
static void enter(int32_t server, int32_t client, const char *context)
{
    const char *uri = strstr(context, "\"uri\":\"");
    char room[64] = "/";
    if (uri) sscanf(uri + strlen("\"uri\":\""), "%63[/a-zA-Z0-9_-]", room);
    keep_room(server, client, room);
    wsplug_client_subscribe(client, room, NULL);
    announce(server, client, room, "joined");
}

static void leave(int32_t server, int32_t client)
{
    char *room = room_of(server, client);
    if (!room) return;
    keep_room(server, client, NULL);
    announce(server, client, room, "left");
    wsplug_free(room);
}

/* A page cannot send headers with its WebSocket: it has the token in the query. */
static void decide(int32_t client, const char *context)
{
    char expected[200];
    snprintf(expected, sizeof expected, "\"query\":\"token=%s\"", secret);
    if (strstr(context, expected)) wsplug_client_accept(client, NULL, NULL);
    else wsplug_client_reject(client, "{\"status\":401}", NULL);
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)worker, (void)window, (void)process, (void)user_data;
    printf("%s %d %s\n", type, (int)client, context);
    if (strcmp(type, "request") == 0) decide(client, context);
    else if (strcmp(type, "open") == 0) enter(server, client, context);
    else if (strcmp(type, "close") == 0) leave(server, client);
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    char *room = room_of(server, client);
    (void)user_data;
    printf("message %d %.*s\n", (int)client, kind == WSPLUG_TEXT ? (int)length : 0, (const char *)data);
    if (room) wsplug_server_publish(server, room, kind, data, length, NULL, NULL);
    wsplug_free(room);
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
    const char *more = argc > 3 ? argv[3] : "";
    char options[1000], *reply = NULL, *port;
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

    secret = argc > 4 ? argv[4] : NULL;
    snprintf(options, sizeof options, "{\"port\":%d,\"files\":{\"/\":\"%s/chat.html\"},\"admission\":\"%s\"}",
             argc > 1 ? atoi(argv[1]) : 8080, folder, secret ? "ask" : "rules");
    check(wsplug_set_log_callback(WSPLUG_LOG_INFO, on_log, NULL), NULL);
    check(wsplug_set_callbacks(on_event, on_message, NULL), NULL);
    status = wsplug_server_create(options, &server, &reply);
    check(status, reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, more, &reply);
    check(status, reply);
    port = strstr(reply, "\"port\":"); /* the real one, if 0 was asked for */
    printf("listening on %s://127.0.0.1:%d/\n", strstr(more, "\"tls\"") ? "https" : "http", port ? atoi(port + strlen("\"port\":")) : 0);
    wsplug_free(reply);

    sigwait(&signals, &signal_number);
    check(wsplug_shutdown(5000), NULL);
    printf("ended\n");
    return 0;
}
