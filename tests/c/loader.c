/* A host that loads the library at run time:  loader LIBRARY CYCLES [live].
   Each cycle opens it, serves, shuts down and closes it. With "live" it closes it while the server still serves,
   names the port and goes on until stdin ends. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include "wsplug.h"

static void *library;

static void *symbol(const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    return found;
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context,
                                const char *worker, int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)client, (void)type, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
}

int main(int argc, char **argv)
{
    int32_t (WSPLUG_API *create)(const char *, int32_t *, char **);
    int32_t (WSPLUG_API *start)(int32_t, const char *, char **);
    int32_t (WSPLUG_API *callbacks)(wsplug_event_callback, wsplug_message_callback, void *);
    int32_t (WSPLUG_API *end)(int32_t);
    void (WSPLUG_API *release)(char *);
    int live = argc > 3;

    for (int cycle = 0; cycle < atoi(argv[2]); cycle++) {
        int32_t server = 0, status;
        char *reply = NULL;
        library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library) return fprintf(stderr, "%s\n", dlerror()), 2;
        *(void **)&create = symbol("wsplug_server_create");
        *(void **)&start = symbol("wsplug_server_start");
        *(void **)&callbacks = symbol("wsplug_set_callbacks");
        *(void **)&end = symbol("wsplug_shutdown");
        *(void **)&release = symbol("wsplug_free");
        status = callbacks(on_event, NULL, NULL);
        if (!status) status = create("{\"port\":0}", &server, NULL);
        if (!status) status = start(server, NULL, &reply);
        if (live) printf("%s\n", reply ? reply : "null"), fflush(stdout);
        release(reply);
        if (!live && !status) status = end(5000);
        if (status) return fprintf(stderr, "cycle %d: status %d\n", cycle, (int)status), 3;
        if (dlclose(library)) return fprintf(stderr, "%s\n", dlerror()), 2;
    }
    while (getchar() != EOF) {
    }
    return 0;
}
