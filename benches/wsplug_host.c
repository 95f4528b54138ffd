/* wsplug as a C host uses it: what comes, by a callback or pulled, is answered as the role (BENCH_ROLE) says.
   Argument: how events are delivered. A server prints its port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../include/wsplug.h"

static const char *role = "echo";
static int32_t server;
static int publishes;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

static void fail(const char *what, int32_t status) {
    fprintf(stderr, "wsplug_host: %s: %s\n", what, wsplug_status_text(status));
    exit(1);
}

static void check(int32_t status) {
    /* A load that ends leaves refs behind that are gone; a message refused for another reason spoils the measurement. */
    if (status < 0 && status != WSPLUG_UNKNOWN_REF && status != WSPLUG_WRONG_STATE && status != WSPLUG_NETWORK)
        fail("send", status);
}

/* About ten microseconds on a core of our time. */
volatile uint64_t work_result;
static void work(void) {
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 5000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    work_result = x;
}

static void take(int32_t client, int32_t kind, const void *data, int32_t length) {
    switch (role[0]) {
    case 'e':
        if (role[1] == 'c') check(wsplug_client_send(client, kind, data, length, NULL)); /* echo */
        else if (*(const char *)data == '!') check(wsplug_client_send(client, WSPLUG_TEXT, "ok", 2, NULL)); /* events */
        break;
    case 'w': /* work */
        work();
        check(wsplug_client_send(client, kind, data, length, NULL));
        break;
    case 'f': /* fan-out */
        check(publishes ? wsplug_server_publish(server, "all", kind, data, length, NULL, NULL)
                        : wsplug_server_send(server, kind, data, length, NULL, NULL));
        break;
    }
}

/* The same in an events cell from the context. */
static void take_json(int32_t client, const char *type, const char *context) {
    if (strcmp(type, "message") != 0) return;
    const char *data = strstr(context, "\"data\":\"");
    if (!data) fail("no data in a context", WSPLUG_INTERNAL);
    if (data[strlen("\"data\":\"")] == '!') check(wsplug_client_send(client, WSPLUG_TEXT, "ok", 2, NULL));
}

static void WSPLUG_API on_event(int32_t from, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data) {
    (void)from, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
    if (publishes && strcmp(type, "open") == 0) check(wsplug_client_subscribe(client, "all", NULL));
}

static void WSPLUG_API on_json(int32_t from, int32_t client, const char *type, const char *context,
                               const char *worker, int32_t window, int32_t process, void *user_data) {
    (void)from, (void)worker, (void)window, (void)process, (void)user_data;
    take_json(client, type, context);
}

static void WSPLUG_API on_message(int32_t from, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data) {
    (void)from, (void)user_data;
    take(client, kind, data, length);
}

static void pull(int json) {
    wsplug_event *event;
    while (wsplug_event_next(-1, &event) == WSPLUG_OK) {
        if (json) {
            take_json(wsplug_event_client(event), wsplug_event_type(event), wsplug_event_context(event));
        } else if (strcmp(wsplug_event_type(event), "message") == 0) {
            int32_t length;
            const void *data = wsplug_event_data(event, &length);
            take(wsplug_event_client(event), wsplug_event_kind(event), data, length);
        }
        wsplug_event_free(event);
    }
}

/* The events of the server as arrays. A host would parse them; looking for what matters here costs it less. */
static void pull_messages(void) {
    char *reply;
    while (wsplug_server_messages(server, "{\"max\":1000,\"timeout\":60}", &reply) >= 0) {
        for (const char *at = reply; (at = strstr(at, "\"client\":"));) {
            at += strlen("\"client\":");
            int client = atoi(at);
            const char *data = strstr(at, "\"data\":\"");
            const char *next = strstr(at, "\"client\":");
            if (data && (!next || data < next) && data[strlen("\"data\":\"")] == '!')
                check(wsplug_client_send(client, WSPLUG_TEXT, "ok", 2, NULL));
        }
        wsplug_free(reply);
    }
}

static void wait_for_room(void) {
    wsplug_event *event;
    int done = 0;
    while (!done) {
        int32_t status = wsplug_event_next(-1, &event);
        if (status < 0) fail("event_next", status);
        done = strcmp(wsplug_event_type(event), "drain") == 0;
        if (strcmp(wsplug_event_type(event), "close") == 0) exit(0);
        wsplug_event_free(event);
    }
}

/* A client that sends as fast as it can. */
static void send_all(void) {
    int32_t client, status, size = atoi(setting("BENCH_SIZE"));
    char options[256], *data = malloc(size);
    char *reply = NULL;
    for (int32_t i = 0; i < size; i++) data[i] = ' ' + i % 95;
    snprintf(options, sizeof options, "{\"url\":\"ws://127.0.0.1:%s/\",\"drain\":true}", setting("BENCH_PORT"));
    if ((status = wsplug_client_create(options, &client, &reply)) < 0) fail(reply, status);
    wsplug_free(reply);
    if ((status = wsplug_client_start(client, NULL, &reply)) < 0) fail(reply, status);
    wsplug_free(reply);
    for (;;) {
        status = wsplug_client_send(client, WSPLUG_BINARY, data, size, NULL);
        if (status == WSPLUG_QUEUE_FULL) wait_for_room();
        else if (status < 0) exit(1);
    }
}

int main(int count, char **arguments) {
    const char *delivery = count > 1 ? arguments[1] : "inline";
    int json = strstr(delivery, "-json") != NULL;
    int pulled = strncmp(delivery, "pull", 4) == 0, messages = strcmp(delivery, "messages") == 0;
    publishes = strstr(delivery, "-publish") != NULL;
    char dispatch[16];
    snprintf(dispatch, sizeof dispatch, "%.*s", (int)strcspn(delivery, "-"), delivery);
    if (getenv("BENCH_ROLE")) role = getenv("BENCH_ROLE");
    if (strcmp(delivery, "inline-2") == 0) wsplug_init("{\"threads\":2}", NULL);
    if (strcmp(role, "send") == 0) send_all();

    char options[1024];
    int at = snprintf(options, sizeof options,
                      "{\"host\":\"127.0.0.1\",\"port\":0,\"sendQueueBytes\":67108864,\"maxConnections\":100000");
    if (!pulled && !messages) at += snprintf(options + at, sizeof options - at, ",\"dispatch\":\"%s\"", dispatch);
    /* zlib's memLevel, as the peers have it. */
    if (atoi(setting("BENCH_DEFLATE")) > 0)
        at += snprintf(options + at, sizeof options - at, ",\"perMessageDeflate\":{\"level\":%s,\"memLevel\":8}",
                       setting("BENCH_DEFLATE"));
    if (getenv("BENCH_CERT"))
        at += snprintf(options + at, sizeof options - at, ",\"tls\":{\"certFile\":\"%s\",\"keyFile\":\"%s\"}",
                       setting("BENCH_CERT"), setting("BENCH_KEY"));
    snprintf(options + at, sizeof options - at, "}");

    char *reply = NULL;
    if (!pulled && !messages) wsplug_set_callbacks(json ? on_json : on_event, json ? NULL : on_message, NULL);
    if (wsplug_server_create(options, &server, &reply) < 0 || (wsplug_free(reply), wsplug_server_start(server, NULL, &reply)) < 0) {
        fprintf(stderr, "wsplug_host: %s\n", reply);
        return 1;
    }
    const char *port = strstr(reply, "\"port\":");
    printf("%d\n", port ? atoi(port + strlen("\"port\":")) : 0);
    fflush(stdout);
    wsplug_free(reply);

    if (pulled) pull(json);
    else if (messages) pull_messages();
    else if (strcmp(dispatch, "pump") == 0) while (wsplug_pump(-1, 0) >= 0) {}
    else for (;;) pause();
    return 0;
}
