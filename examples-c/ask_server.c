/*
 * A server whose host decides who comes in: ask_server [port], Ctrl-C ends it. Clients name themselves by a token in the url,
 * ws://127.0.0.1:8080/?token=ann-1234. A thread of the program looks it up, which may take its time: a client waits without
 * holding up anybody. Whoever is let in is greeted by name and hears what it says.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

static const struct { const char *token, *user; } users[] = {{"ann-1234", "Ann"}, {"ben-5678", "Ben"}};

/* ---- clients that wait to be let in ---- */

struct request {
    int32_t client;
    char token[64];
    struct request *next;
};

static struct request *first, **last = &first;
static int is_over = 0;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void put(struct request *request)
{
    pthread_mutex_lock(&lock);
    *last = request;
    last = &request->next;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* Waits for the next one; NULL at the end. */
static struct request *take(void)
{
    struct request *request;
    pthread_mutex_lock(&lock);
    while (!first && !is_over) pthread_cond_wait(&changed, &lock);
    request = first;
    if (request) {
        first = request->next;
        if (!first) last = &first;
    }
    pthread_mutex_unlock(&lock);
    return request;
}

/* A program with a database asks that here. Compared to the end in any case, so that the time tells nothing. */
static const char *user_of(const char *token)
{
    const char *user = NULL;
    size_t i, at, length = strlen(token);
    for (i = 0; i < sizeof users / sizeof *users; i++) {
        size_t known = strlen(users[i].token);
        int differs = known != length;
        for (at = 0; at < known; at++) differs |= users[i].token[at] ^ token[at < length ? at : 0];
        if (!differs) user = users[i].user;
    }
    return user;
}

static void *decide(void *unused)
{
    struct request *request;
    (void)unused;
    while ((request = take()) != NULL) {
        const char *user = user_of(request->token);
        char how[100];
        if (user) {
            /* "values" are there when "open" is told. */
            snprintf(how, sizeof how, "{\"values\":{\"user\":\"%s\"}}", user);
            wsplug_client_accept(request->client, how, NULL);
        } else {
            wsplug_client_reject(request->client, "{\"status\":401,\"body\":\"no such token\"}", NULL);
        }
        free(request);
    }
    return NULL;
}

/* ---- events ---- */

/* The context begins with "method", "uri", "path" and "query", before anything that could look like them. */
static void ask(int32_t client, const char *context)
{
    struct request *request = calloc(1, sizeof *request);
    const char *token = strstr(context, "\"query\":\"token=");
    if (!request) return; /* nobody answers: it is sent away after admissionTimeoutMs */
    request->client = client;
    if (token) sscanf(token + strlen("\"query\":\"token="), "%63[^\"&]", request->token);
    put(request);
}

static void greet(int32_t client)
{
    char *user = NULL, text[100];
    wsplug_client_get_value(client, "user", &user);
    printf("open %d %s\n", (int)client, user ? user : "");
    snprintf(text, sizeof text, "hello, %s", user ? user : "");
    wsplug_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), NULL);
    wsplug_free(user);
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context, const char *worker,
                                int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)worker, (void)window, (void)process, (void)user_data;
    if (strcmp(type, "request") == 0) ask(client, context);
    else if (strcmp(type, "open") == 0) greet(client);
    else if (strcmp(type, "refused") == 0 || strcmp(type, "close") == 0) printf("%s %d\n", type, (int)client);
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    (void)server, (void)user_data;
    wsplug_client_send(client, kind, data, length, NULL);
}

static void check(int32_t status, const char *reply)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "ask_server: %s %s\n", wsplug_status_text(status), reply ? reply : "");
    exit(1);
}

int main(int argc, char **argv)
{
    char options[200], *reply = NULL, *port;
    int32_t server, status;
    int signal_number;
    pthread_t deciding;
    sigset_t signals;

    /* Blocked before any thread is started, so that Ctrl-C comes to sigwait below. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);

    snprintf(options, sizeof options, "{\"port\":%d,\"admission\":\"ask\",\"admissionTimeoutMs\":5000}",
             argc > 1 ? atoi(argv[1]) : 8080);
    check(wsplug_set_callbacks(on_event, on_message, NULL), NULL);
    status = wsplug_server_create(options, &server, &reply);
    check(status, reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, NULL, &reply);
    check(status, reply);
    port = strstr(reply, "\"port\":"); /* the real one, if 0 was asked for */
    printf("listening on ws://127.0.0.1:%d/\n", port ? atoi(port + strlen("\"port\":")) : 0);
    wsplug_free(reply);
    if (pthread_create(&deciding, NULL, decide, NULL) != 0) return 1;

    sigwait(&signals, &signal_number);
    check(wsplug_shutdown(5000), NULL); /* no callback from here on */
    pthread_mutex_lock(&lock);
    is_over = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(deciding, NULL);
    printf("ended\n");
    return 0;
}
