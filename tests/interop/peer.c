/* One side of the conversation that tests/interop.rs describes, with wsplug: `server`, or `client URL`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsplug.h"

#define MIB (1 << 20)

static void check(int holds, const char *what, const char *details)
{
    if (holds) return;
    fprintf(stderr, "peer: %s: %s\n", what, details ? details : "");
    exit(1);
}

static wsplug_event *next_event(void)
{
    wsplug_event *event = NULL;
    check(wsplug_event_next(20000, &event) == WSPLUG_OK, "no event for 20 seconds", NULL);
    return event;
}

/* Copies the text or number that a context has under `name`; the test's own texts need no unescaping. */
static const char *field(const wsplug_event *event, const char *name, char *value, size_t capacity)
{
    char key[32];
    const char *found;
    size_t length;
    snprintf(key, sizeof key, "\"%s\":", name);
    found = strstr(wsplug_event_context(event), key);
    check(found != NULL, name, wsplug_event_context(event));
    found += strlen(key);
    length = *found == '"' ? strcspn(++found, "\"") : strcspn(found, ",}");
    snprintf(value, capacity, "%.*s", (int)length, found);
    return value;
}

static void send_message(int32_t connection, int32_t kind, const char *data, int32_t length)
{
    char *reply = NULL;
    int32_t status = wsplug_client_send(connection, kind, data, length, &reply);
    check(status == WSPLUG_OK, "send", reply);
    wsplug_free(reply);
}

static void send_text(int32_t connection, const char *text)
{
    send_message(connection, WSPLUG_TEXT, text, (int32_t)strlen(text));
}

static void close_with(int32_t connection, int code, const char *reason)
{
    char options[200], *reply = NULL;
    int32_t status;
    snprintf(options, sizeof options, "{\"code\":%d,\"reason\":\"%s\"}", code, reason);
    status = wsplug_client_stop(connection, options, &reply);
    check(status == WSPLUG_OK, "stop", reply);
    wsplug_free(reply);
}

/* --- server --- */

struct connection {
    char protocol[16];
    int numbers, asked_to_close, asked_to_quit;
};

static void answer(int32_t client, int32_t kind, const char *data, int32_t length, struct connection *connection)
{
    char words[200], reason[100];
    int code, number;
    snprintf(words, sizeof words, "%.*s", kind == WSPLUG_TEXT ? (int)length : 0, data);
    if (sscanf(words, "close %d %99[^\n]", &code, reason) == 2) {
        connection->asked_to_close = 1;
        close_with(client, code, reason);
    } else if (strncmp(words, "ping ", 5) == 0) {
        send_message(client, WSPLUG_PING, words + 5, (int32_t)strlen(words + 5));
    } else if (strcmp(words, "quit") == 0) {
        connection->asked_to_quit = 1;
    } else if (sscanf(words, "number %d", &number) == 1 && number != connection->numbers) {
        snprintf(reason, sizeof reason, "%d instead of %d", number, connection->numbers);
        close_with(client, 4000, reason);
    } else {
        if (strncmp(words, "number ", 7) == 0) connection->numbers++;
        send_message(client, kind, data, length);
    }
}

/* Over TLS: a server has a certificate and its key, a client the authority that it believes. */
static const char *tls_option(void)
{
    static char option[1000];
    const char *certificate = getenv("PEER_CERT"), *key = getenv("PEER_KEY"), *authority = getenv("PEER_CA");
    if (certificate && key)
        snprintf(option, sizeof option, ",\"tls\":{\"certFile\":\"%s\",\"keyFile\":\"%s\"}", certificate, key);
    else if (authority)
        snprintf(option, sizeof option, ",\"tls\":{\"caFile\":\"%s\"}", authority);
    return option;
}

static void serve(void)
{
    static struct connection connections[16];
    char options[1200], code[16], reason[128], *reply = NULL, *port;
    int32_t server, status;
    int over = 0;

    snprintf(options, sizeof options, "{\"port\":0,\"protocols\":[\"two\"]%s}", tls_option());
    status = wsplug_server_create(options, &server, &reply);
    check(status == WSPLUG_OK, "create", reply);
    wsplug_free(reply);
    status = wsplug_server_start(server, NULL, &reply);
    check(status == WSPLUG_OK, "start", reply);
    port = strstr(reply, "\"port\":");
    check(port != NULL, "no port", reply);
    printf("listening %d\n", atoi(port + strlen("\"port\":")));
    wsplug_free(reply);

    while (!over) {
        wsplug_event *event = next_event();
        const char *type = wsplug_event_type(event);
        int32_t client = wsplug_event_client(event), length = 0;
        const char *data = wsplug_event_data(event, &length);
        struct connection *connection = &connections[client % 16];

        if (strcmp(type, "open") == 0) {
            memset(connection, 0, sizeof *connection);
            field(event, "protocol", connection->protocol, sizeof connection->protocol);
        } else if (strcmp(type, "message") == 0) {
            answer(client, wsplug_event_kind(event), data, length, connection);
        } else if (strcmp(type, "pong") == 0) {
            snprintf(reason, sizeof reason, "pong %.*s", (int)length, data);
            send_text(client, reason);
        } else if (strcmp(type, "close") == 0) {
            field(event, "code", code, sizeof code);
            printf("protocol \"%s\", ", connection->protocol);
            if (connection->asked_to_close) printf("closed %s\n", code);
            else printf("close %s %s after %d numbers\n", code, field(event, "reason", reason, sizeof reason), connection->numbers);
            over = connection->asked_to_quit;
        } else {
            check(strcmp(type, "ping") == 0, type, wsplug_event_context(event));
        }
        wsplug_event_free(event);
    }
    check(wsplug_server_clear(server, NULL) == WSPLUG_OK, "clear", NULL);
}

/* --- client --- */

static wsplug_event *expect(const char *type)
{
    wsplug_event *event = next_event();
    check(strcmp(wsplug_event_type(event), type) == 0, type, wsplug_event_type(event));
    return event;
}

static void expect_field(const wsplug_event *event, const char *name, const char *wanted)
{
    char value[128];
    check(strcmp(field(event, name, value, sizeof value), wanted) == 0, wanted, wsplug_event_context(event));
}

static void expect_data(const char *type, int32_t kind, const char *wanted, int32_t wanted_length)
{
    wsplug_event *event = expect(type);
    int32_t length = 0;
    const char *data = wsplug_event_data(event, &length);
    check(wsplug_event_kind(event) == kind, "another kind than was sent", type);
    check(length == wanted_length && memcmp(data, wanted, (size_t)length) == 0, "other data than were sent", type);
    wsplug_event_free(event);
}

static void expect_close(int32_t client, const char *code, const char *reason)
{
    wsplug_event *event = expect("close");
    expect_field(event, "code", code);
    if (reason) expect_field(event, "reason", reason);
    wsplug_event_free(event);
    check(wsplug_client_clear(client, NULL) == WSPLUG_OK, "clear", NULL);
}

static int32_t connected(const char *url, const char *offered, const char *protocol)
{
    char options[1500], *reply = NULL;
    int32_t client, status;
    wsplug_event *event;
    snprintf(options, sizeof options, "{\"url\":\"%s\",\"protocols\":%s,\"enableAutomaticReconnection\":false%s}", url,
             offered, tls_option());
    status = wsplug_client_create(options, &client, &reply);
    check(status == WSPLUG_OK, "create", reply);
    wsplug_free(reply);
    status = wsplug_client_start(client, NULL, &reply);
    check(status == WSPLUG_OK, "start", reply);
    wsplug_free(reply);
    event = expect("open");
    expect_field(event, "protocol", protocol);
    wsplug_event_free(event);
    return client;
}

static void expect_echo(int32_t client, int32_t kind, const char *data, int32_t length)
{
    send_message(client, kind, data, length);
    expect_data("message", kind, data, length);
}

static int32_t write_number(char *text, int n)
{
    int length = sprintf(text, "number %d ", n), padding = n * 7 % 1000;
    memset(text + length, 'x', (size_t)padding);
    return length + padding;
}

static void converse(const char *url)
{
    static const struct { int code; const char *number, *reason; } closes[] = {
        { 1000, "1000", "done" }, { 3000, "3000", "three thousand" }, { 4999, "4999", "déjà vu ✓" },
    };
    static const char greeting[] = "Grüße, 世界 👋";
    char number[1100], words[200], *large = malloc(16 * MIB);
    int32_t client, i;
    check(large != NULL, "no memory", NULL);

    client = connected(url, "[\"one\",\"two\"]", "two");
    expect_echo(client, WSPLUG_TEXT, "", 0);
    expect_echo(client, WSPLUG_TEXT, greeting, (int32_t)strlen(greeting));
    expect_echo(client, WSPLUG_BINARY, "", 0);
    for (i = 0; i < 16 * MIB; i++) large[i] = (char)i;
    expect_echo(client, WSPLUG_BINARY, large, 256);
    expect_echo(client, WSPLUG_BINARY, large, 16 * MIB);
    for (i = 0; i < 16 * MIB; i += 2) memcpy(large + i, "é", 2);
    expect_echo(client, WSPLUG_TEXT, large, 16 * MIB);
    free(large);

    send_message(client, WSPLUG_PING, "anyone there?", 13);
    expect_data("pong", WSPLUG_PONG, "anyone there?", 13);
    send_text(client, "ping here-too");
    expect_data("ping", WSPLUG_PING, "here-too", 8);
    expect_data("message", WSPLUG_TEXT, "pong here-too", 13);

    for (i = 0; i < 1000; i++) send_message(client, WSPLUG_TEXT, number, write_number(number, i));
    for (i = 0; i < 1000; i++) expect_data("message", WSPLUG_TEXT, number, write_number(number, i));
    close_with(client, 1000, "bye");
    expect_close(client, "1000", NULL);

    for (i = 1; i < 3; i++) {
        client = connected(url, "[]", "");
        close_with(client, closes[i].code, closes[i].reason);
        expect_close(client, closes[i].number, NULL);
    }
    for (i = 0; i < 3; i++) {
        client = connected(url, "[]", "");
        snprintf(words, sizeof words, "close %d %s", closes[i].code, closes[i].reason);
        send_text(client, words);
        expect_close(client, closes[i].number, closes[i].reason);
    }

    client = connected(url, "[]", "");
    send_text(client, "quit");
    close_with(client, 1000, "over");
    expect_close(client, "1000", NULL);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "server") == 0) serve();
    else if (argc == 3 && strcmp(argv[1], "client") == 0) converse(argv[2]);
    else check(0, "usage", "peer server | peer client URL");
    check(wsplug_shutdown(10000) == WSPLUG_OK, "shutdown", NULL);
    return 0;
}
