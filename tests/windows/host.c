/*
 * A host on Windows (arguments: the library's path, what to try, and what that needs). Run for 64 and 32 bits.
 */
#include "library.h"

enum { BINARY = 70000 };

/* ---- messages in both directions, however events come ---- */

static void talk(const char *options, const char *client_options, const char *scheme)
{
    int port;
    int32_t server = serve(options, &port);
    int32_t client = dial(json("{'url':'%s://127.0.0.1:%d/path','enableAutomaticReconnection':false%s}", scheme, port, client_options));
    struct event *open = await("open", true), *event;
    CHECK_HAS(open->data, "\"uri\":\"/path\"");
    await("open", false);

    DONE(ws_client_send(client, WSPLUG_TEXT, "Gr\xc3\xbc\xc3\x9f" "e", 7, &replied));
    event = await("message", true);
    CHECK_INT(event->client, open->client);
    CHECK_INT(event->length, 7);
    CHECK(!memcmp(event->data, "Gr\xc3\xbc\xc3\x9f" "e", 7));

    static char bytes[BINARY];
    for (int i = 0; i < BINARY; i++)
        bytes[i] = (char)(i * 7);
    DONE(ws_server_send(server, WSPLUG_BINARY, bytes, BINARY, NULL, &replied));
    event = await("message", false);
    CHECK_INT(event->length, BINARY);
    CHECK(!memcmp(event->data, bytes, BINARY));

    DWORD me = GetCurrentThreadId();
    CHECK((event->thread == me) == (delivery != CALLED));
    CHECK((open->thread == me) == (delivery != CALLED));

    DONE(ws_client_stop(client, "{\"code\":4001,\"reason\":\"enough\"}", NULL));
    event = await("close", true);
    CHECK_INT(number_in(event->data, "code"), 4001);
    await("close", false);
    DONE(ws_client_clear(client, NULL));
    DONE(ws_server_clear(server, NULL));
    DONE(ws_shutdown(PATIENCE_MS));
}

static void called(char **argument)
{
    (void)argument;
    DONE(ws_set_callbacks(on_event, on_message, NULL));
    talk("{\"port\":0}", "", "ws");
}

static void pumped(char **argument)
{
    (void)argument;
    delivery = PUMPED;
    DONE(ws_init("{\"dispatch\":\"pump\"}", NULL));
    DONE(ws_set_callbacks(on_event, on_message, NULL));
    talk("{\"port\":0}", "", "ws");
}

static void pulled(char **argument)
{
    (void)argument;
    delivery = PULLED;
    talk("{\"port\":0,\"perMessageDeflate\":{\"enabled\":true}}", ",'perMessageDeflate':{'enabled':true}", "ws");
}

static void per_connection(char **argument)
{
    (void)argument;
    DONE(ws_init("{\"dispatch\":\"perConnection\"}", NULL));
    DONE(ws_set_callbacks(on_event, on_message, NULL));
    talk("{\"port\":0}", "", "ws");
}

/* More than the 64 handles that one wait of Windows takes (with many more, Wine is slow to close them), and more bytes to each than a socket's buffers hold. */
static void many(char **argument)
{
    enum { CLIENTS = 100, BYTES = 1000000 };
    (void)argument;
    int port;
    static char bytes[BYTES];
    DONE(ws_set_method("echo", NULL, echo, NULL));
    DONE(ws_set_callbacks(on_event, on_message, NULL));
    serve("{\"port\":0,\"method\":\"echo\",\"dispatch\":\"inline\"}", &port);
    int32_t clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = dial_port(port);
    for (int i = 0; i < CLIENTS; i++)
        DONE(ws_client_send(clients[i], WSPLUG_TEXT, "to all", 6, NULL));
    for (int i = 0; i < CLIENTS; i++)
        CHECK(!strcmp(await("message", false)->data, "to all"));
    for (int i = 0; i < 20; i++)
        DONE(ws_client_send(clients[i], WSPLUG_BINARY, bytes, BYTES, NULL));
    for (int i = 0; i < 20; i++)
        CHECK_INT(await("message", false)->length, BYTES);
    DONE(ws_shutdown(PATIENCE_MS));
    for (int i = 0; i < CLIENTS; i++)
        CHECK_INT(number_in(await("close", false)->data, "code"), 1001);
}

/* Certificate, key and authority as paths of this system, with backslashes. */
static void tls(char **argument)
{
    int port;
    int32_t client;
    char server_options[2000];
    DONE(ws_set_callbacks(on_event, on_message, NULL));
    snprintf(server_options, sizeof server_options, "%s",
             json("{'port':0,'tls':{'certFile':'%s','keyFile':'%s'}}", argument[0], argument[1]));
    int32_t server = serve(server_options, &port);
    /* Who is not known is not believed: the authority is in no store of this system. */
    DONE(ws_client_create(json("{'url':'wss://localhost:%d/','enableAutomaticReconnection':false}", port), &client, &replied));
    REFUSED(WSPLUG_NETWORK, ws_client_start(client, NULL, &replied));
    CHECK_HAS(reply, "certificate");
    DONE(ws_client_clear(client, NULL));
    DONE(ws_server_clear(server, NULL));
    while (events)
        await(events->type, events->server != 0);
    char client_options[1000];
    snprintf(client_options, sizeof client_options, "%s", json(",'tls':{'caFile':'%s'}", argument[2]));
    talk(server_options, client_options, "wss");
}

/* ---- options ---- */

static void options(char **argument)
{
    (void)argument;
    int32_t server = 0, client = 0;
    REFUSED(WSPLUG_INVALID_OPTIONS, ws_server_create("{\"port\":70000}", &server, &replied));
    CHECK_HAS(reply, "\"option\":\"port\"");
    CHECK_HAS(reply, "65535");
    /* What this system does not have says so. */
    DONE(ws_server_create("{\"port\":0,\"reusePort\":true}", &server, &replied));
    REFUSED(WSPLUG_INVALID_OPTIONS, ws_server_start(server, NULL, &replied));
    CHECK_HAS(reply, "\"option\":\"reusePort\"");
    REFUSED(WSPLUG_INVALID_OPTIONS, ws_client_create("{\"url\":\"ws+unix:/tmp/socket:/\"}", &client, &replied));
    CHECK_HAS(reply, "ws+unix: needs a system that has Unix sockets");
    REFUSED(WSPLUG_INVALID_OPTIONS, ws_set_wakeup("{\"fd\":true}", NULL, NULL, &replied));
    CHECK_HAS(reply, "\"option\":\"fd\"");
    DONE(ws_shutdown(PATIENCE_MS));
}

/* ---- addresses and ports ---- */

static SOCKET listening(int port, int option)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((u_short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    SOCKET socket_of_ours = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    if (option)
        CHECK_INT(setsockopt(socket_of_ours, SOL_SOCKET, option, (char *)&on, sizeof on), 0);
    if (bind(socket_of_ours, (struct sockaddr *)&address, sizeof address) == 0 && listen(socket_of_ours, 1) == 0)
        return socket_of_ours;
    closesocket(socket_of_ours);
    return INVALID_SOCKET;
}

static void ports(char **argument)
{
    (void)argument;
    int port, other;
    WSADATA data;
    CHECK_INT(WSAStartup(MAKEWORD(2, 2), &data), 0);
    DONE(ws_set_method("echo", NULL, echo, NULL));
    DONE(ws_set_callbacks(on_event, on_message, NULL));

    /* The port is ours alone, also for those who would share it. */
    int32_t server = serve("{\"port\":0,\"method\":\"echo\"}", &port);
    CHECK(listening(port, 0) == INVALID_SOCKET);
    CHECK(listening(port, SO_REUSEADDR) == INVALID_SOCKET);
    int32_t second = 0;
    SOCKET theirs = INVALID_SOCKET;
    for (other = 49152; theirs == INVALID_SOCKET; other++)
        theirs = listening(other, 0);
    DONE(ws_server_create(json("{'port':%d}", other - 1), &second, &replied));
    REFUSED(WSPLUG_NETWORK, ws_server_start(second, NULL, &replied));
    CHECK_HAS(reply, "cannot listen on 127.0.0.1");
    closesocket(theirs);
    DONE(ws_server_start(second, NULL, &replied));
    DONE(ws_server_clear(second, NULL));

    /* A name with two addresses, of which one has nobody. */
    int32_t client = dial(json("{'url':'ws://localhost:%d/'}", port));
    DONE(ws_client_send(client, WSPLUG_TEXT, "by name", 7, NULL));
    CHECK(!strcmp(await("message", false)->data, "by name"));
    DONE(ws_client_clear(client, NULL));
    DONE(ws_server_clear(server, NULL));

    /* IPv6, alone and with IPv4 on one port. */
    server = serve("{\"port\":0,\"method\":\"echo\",\"host\":\"::1\"}", &port);
    client = dial(json("{'url':'ws://[::1]:%d/'}", port));
    DONE(ws_client_send(client, WSPLUG_TEXT, "by six", 6, NULL));
    CHECK(!strcmp(await("message", false)->data, "by six"));
    DONE(ws_client_clear(client, NULL));
    DONE(ws_server_clear(server, NULL));
    server = serve("{\"port\":0,\"method\":\"echo\",\"host\":\"::\"}", &port);
    client = dial_port(port);
    DONE(ws_client_send(client, WSPLUG_TEXT, "by four", 7, NULL));
    CHECK(!strcmp(await("message", false)->data, "by four"));

    /* Nobody there. */
    DONE(ws_server_stop(server, NULL, NULL));
    DONE(ws_client_create(json("{'url':'ws://127.0.0.1:%d/','enableAutomaticReconnection':false}", port), &second, &replied));
    REFUSED(WSPLUG_NETWORK, ws_client_start(second, NULL, &replied));
    CHECK_HAS(reply, "cannot connect to");
    DONE(ws_shutdown(PATIENCE_MS));
    WSACleanup();
}

/* The folder of the argument has a page in it, named with a backslash. */
static void files(char **argument)
{
    int port;
    WSADATA data;
    char answer[4096] = "";
    CHECK_INT(WSAStartup(MAKEWORD(2, 2), &data), 0);
    serve(json("{'port':0,'files':{'/':'%s\\\\page.html'}}", argument[0]), &port);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((u_short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    SOCKET browser = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(browser, (struct sockaddr *)&address, sizeof address), 0);
    const char *request = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    CHECK_INT(send(browser, request, (int)strlen(request), 0), strlen(request));
    for (int length = 0, more; (more = recv(browser, answer + length, (int)sizeof answer - 1 - length, 0)) > 0;)
        length += more;
    CHECK_HAS(answer, "200 OK");
    CHECK_HAS(answer, "text/html");
    CHECK_HAS(answer, "a page from a file");
    closesocket(browser);
    DONE(ws_shutdown(PATIENCE_MS));
}

/* ---- the end ---- */

static const char *path;

/* As WINDEV and others do after a call, with connections that are open. */
static void unload(char **argument)
{
    (void)argument;
    int port;
    DONE(ws_set_method("echo", NULL, echo, NULL));
    DONE(ws_set_callbacks(on_event, on_message, NULL));
    int32_t server = serve("{\"port\":0,\"method\":\"echo\"}", &port), client = dial_port(port);
    HMODULE before = library;
    for (int i = 0; i < 3; i++) {
        FreeLibrary(library);
        load(path);
        CHECK(library == before);
        FreeLibrary(library);
        /* The code and what it knows are still there. */
        DONE(ws_client_send(client, WSPLUG_TEXT, "still here", 10, NULL));
        CHECK(!strcmp(await("message", false)->data, "still here"));
    }
    load(path);
    DONE(ws_server_clients(server, &replied));
    CHECK(reply[1] != ']');
    DONE(ws_shutdown(PATIENCE_MS));
    FreeLibrary(library);
}

/* The test takes the time from here. */
static void tell_that_it_ends(void)
{
    puts("ending");
    fflush(stdout);
}

static void WSPLUG_API leave(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length, void *user_data)
{
    (void)server, (void)client, (void)kind, (void)data, (void)length, (void)user_data;
    tell_that_it_ends();
    ExitProcess(0);
}

/* With connections that are open and busy, by what the argument says. */
static void end(char **argument)
{
    int port;
    DONE(ws_set_method("echo", NULL, echo, NULL));
    DONE(ws_set_callbacks(on_event, !strcmp(argument[0], "callback") ? leave : on_message, NULL));
    serve("{\"port\":0,\"method\":\"echo\"}", &port);
    for (int i = 0; i < 10; i++) {
        int32_t client = dial_port(port);
        for (int turn = 0; turn < 20; turn++)
            ws_client_send(client, WSPLUG_TEXT, "busy", 4, NULL);
    }
    if (strcmp(argument[0], "callback"))
        tell_that_it_ends();
    if (!strcmp(argument[0], "exit"))
        exit(0);
    if (!strcmp(argument[0], "ExitProcess"))
        ExitProcess(0);
    if (!strcmp(argument[0], "free"))
        FreeLibrary(library);
    if (!strcmp(argument[0], "callback"))
        Sleep(INFINITE);
}

/* ---- being woken ---- */

static LONG wakeups;

static void WSPLUG_API wake(void *user_data)
{
    CHECK(user_data == &wakeups);
    InterlockedIncrement(&wakeups);
}

/* How many messages with this number are in the thread's queue, which are taken out. */
static int posted(HWND window, UINT message)
{
    MSG got;
    int count = 0;
    while (PeekMessageA(&got, window, message, message, PM_REMOVE)) {
        CHECK(got.wParam == 0 && got.lParam == 0);
        count++;
    }
    return count;
}

/* Waits until `count` messages wait to be pumped. */
static void bring(int32_t client, int count)
{
    ULONGLONG deadline = GetTickCount64() + PATIENCE_MS;
    for (int i = 0; i < count; i++)
        DONE(ws_client_send(client, WSPLUG_TEXT, "work", 4, NULL));
    do {
        DONE(ws_info(&replied));
        CHECK(GetTickCount64() < deadline);
    } while (number_in(reply, "eventQueueEvents") != count);
}

static void wakeup(char **argument)
{
    (void)argument;
    enum { MESSAGE = WM_APP + 7 };
    int port;
    MSG got;
    delivery = PUMPED;
    DONE(ws_init("{\"dispatch\":\"pump\"}", NULL));
    DONE(ws_set_callbacks(on_event, on_message, NULL));
    serve("{\"port\":0}", &port);
    int32_t client = dial_port(port);
    await("open", true), await("open", false);

    HWND window = CreateWindowA("STATIC", "", 0, 0, 0, 0, 0, HWND_MESSAGE, NULL, NULL, NULL);
    CHECK(window);
    long long handle = (long long)(intptr_t)window;
    REFUSED(WSPLUG_INVALID_OPTIONS, ws_set_wakeup(json("{'hwnd':%I64d,'message':1023}", handle), NULL, NULL, &replied));
    CHECK_HAS(reply, "\"option\":\"message\"");
    REFUSED(WSPLUG_INVALID_OPTIONS, ws_set_wakeup(json("{'hwnd':%I64d}", handle), NULL, NULL, &replied));
    CHECK_HAS(reply, "\"option\":\"message\"");
    REFUSED(WSPLUG_INVALID_OPTIONS, ws_set_wakeup("{\"hwnd\":1,\"message\":32768}", NULL, NULL, &replied));
    CHECK_HAS(reply, "not the handle of a window");

    /* The handle as a number, as text, and as text in hexadecimal; each time many events are one message. */
    const char *forms[] = {"{'hwnd':%I64d,'message':%d}", "{'hwnd':'%I64d','message':%d}", "{'hwnd':'0x%I64x','message':%d}"};
    for (int i = 0; i < 3; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        DONE(ws_set_wakeup(json(forms[i], handle, MESSAGE), NULL, NULL, &replied));
#pragma GCC diagnostic pop
        bring(client, 100);
        CHECK(GetMessageA(&got, window, MESSAGE, MESSAGE) > 0);
        CHECK_INT(posted(window, MESSAGE), 0);
        /* A portion at a time: what is left is told anew. */
        CHECK_INT(ws_pump(0, 60), 60);
        CHECK_INT(posted(window, MESSAGE), 1);
        CHECK_INT(ws_pump(0, 60), 40);
        CHECK_INT(posted(window, MESSAGE), 0);
    }

    /* A callback, with a window that is gone beside it: that is no reason to miss the rest. */
    DONE(ws_set_wakeup(json("{'hwnd':%I64d,'message':%d}", handle, MESSAGE), wake, &wakeups, NULL));
    DestroyWindow(window);
    bring(client, 2);
    for (ULONGLONG deadline = GetTickCount64() + PATIENCE_MS; InterlockedAdd(&wakeups, 0) == 0; Sleep(1))
        CHECK(GetTickCount64() < deadline);
    CHECK_INT(ws_pump(0, 0), 2);
    DONE(ws_set_wakeup(NULL, NULL, NULL, NULL));
    DONE(ws_shutdown(PATIENCE_MS));
}

/* ---- others ---- */

/* Sends everything back until stdin ends. Prints its port. */
static void echoes(char **argument)
{
    int port;
    DONE(ws_set_callbacks(NULL, echo, NULL));
    serve(argument[0] ? json("{'port':0,'tls':{'certFile':'%s','keyFile':'%s'}}", argument[0], argument[1]) : "{\"port\":0}", &port);
    printf("%d\n", port);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    DONE(ws_shutdown(PATIENCE_MS));
}

int main(int count, char **argument)
{
    static const struct {
        const char *name;
        void (*run)(char **argument);
    } scenes[] = {{"called", called},   {"pumped", pumped}, {"pulled", pulled}, {"perConnection", per_connection},
                  {"many", many},       {"tls", tls},       {"options", options}, {"ports", ports},
                  {"files", files},     {"unload", unload}, {"end", end},       {"wakeup", wakeup},
                  {"echoes", echoes}};
    CHECK(count >= 3);
    path = argument[1];
    begin(path);
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
        if (!strcmp(scenes[i].name, argument[2])) {
            scenes[i].run(argument + 3);
            return 0;
        }
    failed(__FILE__, __LINE__, "there is nothing called %s", argument[2]);
}
