/*
 * What examples-hosts/windev does, by the same calls at the same places: a server that asks who may come in, and clients of its own, in
 * one window's thread. That is woken by a posted message, pulls until nothing is left, copies each text, and never waits: if it waited for
 * a client to be let in, nobody would let it in. Argument: the library's path. Prints a line for each event.
 */
#include "library.h"

enum { WM_WSPLUG = WM_APP + 1, NOTICED_MS = 5000 };

static HWND window;
static int32_t server, stranger, me;
static int port, services, refused, told_sent, log_lines;
static bool has_closed, has_been_left;

/* WSPlugTextAt. */
static const char *copied(const char *text)
{
    static char texts[8][8192];
    static unsigned turn;
    char *copy = texts[turn++ % 8];
    int32_t bytes = ws_text_copy(text, NULL, 0);
    CHECK(bytes > 0 && bytes <= (int32_t)sizeof texts[0]);
    CHECK_INT(ws_text_copy(text, copy, bytes), bytes);
    CHECK_INT(strlen(copy) + 1, bytes);
    return copy;
}

static const char *taken(char *text)
{
    const char *copy = copied(text);
    ws_free(text);
    return copy;
}

/* The text of a member that has no escapes in it. */
static const char *text_in(const char *context, const char *name)
{
    static char value[256];
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    CHECK_HAS(context, key);
    const char *at = strstr(context, key) + strlen(key);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\""), at);
    return value;
}

static void say(int32_t client, const char *text)
{
    DONE(ws_client_send(client, WSPLUG_TEXT, text, (int32_t)strlen(text), &replied));
}

/* WSPlugClientConnectAsync. */
static int32_t connect_to_chat(const char *name, const char *query)
{
    int32_t client = 0, found = 0;
    DONE(ws_client_create(json("{'name':'%s','method':'OnMe','address':'127.0.0.1','port':%d,'path':'/chat?name=%s','timeout':20,"
                               "'enableAutomaticReconnection':false,'worker':'%s','window':7,'process':8}",
                               name, port, query, name), &client, &replied));
    DONE(ws_client_start(client, "{\"wait\":false}", &replied));
    DONE(ws_client_find(name, &found));
    CHECK_INT(found, client);
    return client;
}

static void on_me(int32_t client, const char *type, const char *context, const char *message)
{
    int32_t found = 0;
    if (!strcmp(type, "open")) {
        printf("client: open\n");
    } else if (!strcmp(type, "message")) {
        printf("client: message %s\n", message);
        if (!strcmp(message, "Welcome!"))
            DONE(ws_client_send_with(client, WSPLUG_TEXT, "hello", 5, "{\"confirm\":4711}", &replied));
        if (!strcmp(message, "ann: hello"))
            say(client, "/leave");
        if (!strcmp(message, "1 are here"))
            DONE(ws_client_execute(client, "leave", "[1]", &replied));
    } else if (!strcmp(type, "sent")) {
        CHECK_INT(number_in(context, "confirm"), 4711);
        told_sent++;
    } else if (!strcmp(type, "execute")) {
        printf("client: execute %s\n", text_in(context, "procedure"));
        DONE(ws_client_stop(client, "{\"code\":1000,\"reason\":\"bye\",\"wait\":false}", &replied));
    } else {
        int32_t is_stranger = client == stranger;
        if (is_stranger)
            printf("client: error %d\n", number_in(context, "http_status"));
        else
            printf("client: close %d %s\n", number_in(context, "code"), text_in(context, "reason"));
        CHECK(!strcmp(type, is_stranger ? "error" : "close"));
        DONE(ws_client_clear(client, &replied));
        REFUSED(WSPLUG_UNKNOWN_REF, ws_client_find(is_stranger ? "stranger" : "me", &found));
        if (is_stranger)
            me = connect_to_chat("me", "ann");
        else
            has_closed = true;
    }
}

static void on_chat(int32_t client, const char *type, const char *context, const char *message)
{
    char *value = NULL;
    if (!strcmp(type, "request")) {
        const char *query = text_in(context, "query");
        printf("server: request %s\n", query);
        if (!strcmp(query, "name="))
            DONE(ws_client_reject(client, "{\"status\":401,\"body\":\"who are you?\"}", &replied));
        else
            DONE(ws_client_accept(client, NULL, &replied));
    } else if (!strcmp(type, "refused")) {
        refused = number_in(context, "status");
    } else if (!strcmp(type, "open")) {
        DONE(ws_client_info(client, &replied));
        DONE(ws_client_set_value(client, "name", text_in(reply, "query") + strlen("name=")));
        DONE(ws_client_get_value(client, "name", &value));
        printf("server: open %s\n", taken(value));
        say(client, "Welcome!");
        DONE(ws_client_subscribe(client, "hall", &replied));
        CHECK_INT(number_in(reply, "subscribers"), 1);
    } else if (!strcmp(type, "message") && !strcmp(message, "/leave")) {
        printf("server: message %s\n", message);
        DONE(ws_client_unsubscribe(client, "hall", &replied));
        CHECK_INT(number_in(reply, "subscribers"), 0);
        DONE(ws_server_publish(server, "hall", WSPLUG_TEXT, "nobody hears it", 15, NULL, &replied));
        CHECK_INT(number_in(reply, "queued"), 0);
        DONE(ws_server_execute(server, "count", "null", &replied));
    } else if (!strcmp(type, "message")) {
        printf("server: message %s\n", message);
        DONE(ws_client_get_value(client, "name", &value));
        const char *line = json("%s: %s", taken(value), message);
        DONE(ws_server_publish(server, "hall", WSPLUG_TEXT, line, (int32_t)strlen(line), NULL, &replied));
        CHECK_INT(number_in(reply, "queued"), 1);
    } else if (!strcmp(type, "execute")) {
        printf("server: execute %s\n", text_in(context, "procedure"));
        int count = 0;
        DONE(ws_server_clients(server, &replied));
        for (const char *at = reply; *at; at++)
            count += *at == ',' || (*at == '[' && at[1] != ']');
        const char *line = json("%d are here", count);
        DONE(ws_server_send(server, WSPLUG_TEXT, line, (int32_t)strlen(line), NULL, &replied));
    } else if (!strcmp(type, "service")) {
        services++;
    } else {
        printf("server: %s", type);
        if (!strcmp(type, "close")) {
            printf(" %d %s", number_in(context, "code"), text_in(context, "reason"));
            has_been_left = true;
        }
        putchar('\n');
    }
}

/* WSPlugAskEvents. */
static int ask_events(void)
{
    wsplug_event *event = NULL;
    int count = 0;
    for (; ws_event_next(0, &event) == WSPLUG_OK; count++) {
        int32_t of_server = ws_event_server(event), client = ws_event_client(event), length = 0;
        const char *type = copied(ws_event_type(event)), *context = copied(ws_event_context(event));
        const char *method = copied(ws_event_method(event)), *worker = copied(ws_event_worker(event));
        char message[256] = "";
        const void *data = ws_event_data(event, &length);
        CHECK(length < (int32_t)sizeof message);
        if (length > 0)
            memcpy(message, data, (size_t)length);
        CHECK_INT(ws_event_kind(event), strcmp(type, "message") ? 0 : WSPLUG_TEXT);
        CHECK_INT(ws_event_window(event), of_server ? 0 : 7);
        CHECK_INT(ws_event_process(event), of_server ? 0 : 8);
        CHECK(!strcmp(worker, of_server ? "" : client == stranger ? "stranger" : "me"));
        ws_event_free(event);
        CHECK(of_server == 0 || of_server == server);
        CHECK(!strcmp(method, of_server ? "" : "OnMe"));
        if (of_server)
            on_chat(client, type, context, message);
        else
            on_me(client, type, context, message);
    }
    CHECK(event == NULL);
    return count;
}

static LRESULT CALLBACK on_window_message(HWND of_window, UINT number, WPARAM wparam, LPARAM lparam)
{
    if (number != WM_WSPLUG)
        return DefWindowProcA(of_window, number, wparam, lparam);
    CHECK(wparam == 0 && lparam == 0);
    ULONGLONG began = GetTickCount64();
    ask_events();
    CHECK(GetTickCount64() - began < NOTICED_MS);
    if (has_closed && has_been_left && services > 0)
        PostQuitMessage(0);
    return 0;
}

static void WSPLUG_API on_log(int32_t level, const char *line, void *user_data)
{
    CHECK(user_data == &log_lines);
    CHECK(level >= WSPLUG_LOG_ERROR && level <= WSPLUG_LOG_INFO && *line);
    InterlockedIncrement((LONG *)&log_lines);
}

int main(int count, char **argument)
{
    MSG got;
    char *value = NULL;
    wsplug_event *event = NULL;
    CHECK(count == 2);
    begin(argument[1]);
    setvbuf(stdout, NULL, _IONBF, 0);
    CHECK(atoi(copied(ws_version())) >= 0 && strchr(copied(ws_version()), '.'));
    DONE(ws_set_log_callback(WSPLUG_LOG_INFO, on_log, &log_lines));
    DONE(ws_init("", &replied));

    WNDCLASSA kind = {.lpfnWndProc = on_window_message, .hInstance = GetModuleHandleA(NULL), .lpszClassName = "WIN_Chat"};
    CHECK(RegisterClassA(&kind));
    window = CreateWindowA("WIN_Chat", "", WS_OVERLAPPEDWINDOW, 0, 0, 100, 100, NULL, NULL, kind.hInstance, NULL);
    CHECK(window);
    /* A number, as JSONToString writes it. */
    DONE(ws_set_wakeup(json("{'hwnd':%I64d,'message':%d}", (long long)(intptr_t)window, WM_WSPLUG), NULL, NULL, &replied));

    server = serve("{\"port\":0,\"path\":\"/chat\",\"admission\":\"ask\",\"interval\":\"20 ms\"}", &port);
    DONE(ws_server_set(server, "{\"blocked\":false}", &replied));
    DONE(ws_server_set_value(server, "room", "hall"));
    DONE(ws_server_get_value(server, "room", &value));
    CHECK(!strcmp(taken(value), "hall"));
    stranger = connect_to_chat("stranger", "");

    while (GetMessageA(&got, NULL, 0, 0) > 0)
        DispatchMessageA(&got);

    CHECK_INT(refused, 401);
    CHECK_INT(told_sent, 1);
    DONE(ws_server_info(server, &replied));
    CHECK_HAS(reply, "\"clients\":0");
    DONE(ws_server_stop(server, NULL, &replied));
    DONE(ws_set_wakeup(NULL, NULL, NULL, &replied));
    ask_events(); /* "stopped" */
    DONE(ws_server_clear(server, &replied));
    /* A wait for ever ends when it is asked to. */
    ws_event_wake();
    CHECK_INT(ws_event_next(-1, &event), WSPLUG_TIMEOUT);
    DONE(ws_shutdown(PATIENCE_MS));
    CHECK(log_lines > 0);
    DestroyWindow(window);
    return 0;
}
