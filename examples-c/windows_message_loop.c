/* A Windows program with a window, as WINDEV, VBA, Delphi and others make them: the library posts a message when something has
   happened, and the callbacks run in the window's own thread, which may touch the user interface and needs no lock.
   windows_message_loop [port] serves an echo until the window is closed; without a port it takes a free one, talks to itself
   and closes the window. Link with libwsplug64.dll.a or libwsplug32.dll.a. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "wsplug.h"

#define WM_WSPLUG (WM_APP + 1) /* any number from WM_APP on that the program does not use otherwise */

static HWND window, list;
static DWORD thread_of_the_window;

static void show(const char *what, const char *text, int length)
{
    char line[300];

    snprintf(line, sizeof line, "%s %.*s", what, length, text);
    SendMessageA(list, LB_ADDSTRING, 0, (LPARAM)line);
    puts(GetCurrentThreadId() == thread_of_the_window ? line : "this is another thread");
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context, const char *worker,
                                int32_t for_window, int32_t process, void *user_data)
{
    (void)context, (void)worker, (void)for_window, (void)process, (void)user_data;
    show(server ? "server:" : "client:", type, (int)strlen(type));
    if (!server && strcmp(type, "open") == 0) wsplug_client_send(client, WSPLUG_TEXT, "hello", 5, NULL);
    if (!server && strcmp(type, "close") == 0) DestroyWindow(window);
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length, void *user_data)
{
    (void)user_data;
    show(server ? "server got:" : "client got:", data, length);
    if (server)
        wsplug_client_send(client, kind, data, length, NULL);
    else
        wsplug_client_stop(client, NULL, NULL);
}

static LRESULT CALLBACK on_window_message(HWND of_window, UINT message, WPARAM wparam, LPARAM lparam)
{
    switch (message) {
    case WM_WSPLUG:
        wsplug_pump(0, 100); /* does not wait; if there is more, the message comes again, and the user's come between */
        return 0;
    case WM_DESTROY:
        PostQuitMessage(0);
        return 0;
    }
    return DefWindowProcA(of_window, message, wparam, lparam);
}

static void make_window(void)
{
    WNDCLASSA kind = {0};

    kind.lpfnWndProc = on_window_message;
    kind.hInstance = GetModuleHandleA(NULL);
    kind.lpszClassName = "wsplug example";
    RegisterClassA(&kind);
    window = CreateWindowA("wsplug example", "wsplug", WS_OVERLAPPEDWINDOW | WS_VISIBLE, CW_USEDEFAULT, CW_USEDEFAULT, 500, 300,
                           NULL, NULL, kind.hInstance, NULL);
    list = CreateWindowA("LISTBOX", "", WS_CHILD | WS_VISIBLE | WS_VSCROLL, 0, 0, 480, 260, window, NULL, kind.hInstance, NULL);
    thread_of_the_window = GetCurrentThreadId();
}

/* 0, or what the library says went wrong. */
static int start(int port)
{
    char options[200], *reply = NULL;
    int32_t server, client, status;

    wsplug_init("{\"dispatch\":\"pump\"}", NULL);
    wsplug_set_callbacks(on_event, on_message, NULL);
    /* The handle as text: not every host has numbers of 64 bits in its JSON. */
    snprintf(options, sizeof options, "{\"hwnd\":\"0x%llx\",\"message\":%d}", (unsigned long long)(ULONG_PTR)window, WM_WSPLUG);
    status = wsplug_set_wakeup(options, NULL, NULL, &reply);
    if (status == WSPLUG_OK) {
        wsplug_free(reply);
        snprintf(options, sizeof options, "{\"port\":%d}", port);
        wsplug_server_create(options, &server, NULL);
        status = wsplug_server_start(server, NULL, &reply);
    }
    if (status == WSPLUG_OK && port == 0) {
        const char *real = strstr(reply, "\"port\":");
        snprintf(options, sizeof options, "{\"url\":\"ws://127.0.0.1:%d/\",\"enableAutomaticReconnection\":false}", atoi(real + 7));
        wsplug_free(reply);
        wsplug_client_create(options, &client, NULL);
        status = wsplug_client_start(client, "{\"wait\":false}", &reply); /* a window must not wait; "open" or "error" tells */
    }
    if (status != WSPLUG_OK) fprintf(stderr, "%s\n", reply);
    wsplug_free(reply);
    return status;
}

int main(int argc, char **argv)
{
    MSG message;

    make_window();
    if (start(argc > 1 ? atoi(argv[1]) : 0) != WSPLUG_OK) return 1;
    while (GetMessageA(&message, NULL, 0, 0) > 0) {
        TranslateMessage(&message);
        DispatchMessageA(&message);
    }
    return wsplug_shutdown(5000);
}
