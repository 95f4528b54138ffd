/* The library is opened and closed many times, with and without a shutdown (argument: its path). */
#include "raw.h"

#include <dlfcn.h>

#define FIND(name) __typeof__(&name) name##_ = (__typeof__(&name))(uintptr_t)dlsym(library, #name); CHECK(name##_ != NULL)

static void use(const char *path, bool with_shutdown)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        failed(__FILE__, __LINE__, "%s", dlerror());
    FIND(wsplug_abi_version);
    FIND(wsplug_server_create);
    FIND(wsplug_server_start);
    FIND(wsplug_server_clear);
    FIND(wsplug_shutdown);
    FIND(wsplug_free);
    int32_t server = 0;
    char *text = NULL;
    CHECK_INT(wsplug_abi_version_(), WSPLUG_ABI_VERSION);
    CHECK_INT(wsplug_server_create_("{\"port\":0}", &server, NULL), WSPLUG_OK);
    CHECK_INT(wsplug_server_start_(server, NULL, &text), WSPLUG_OK);
    close(raw_client((int)json_int(text, "port")));
    wsplug_free_(text);
    if (with_shutdown)
        CHECK_INT(wsplug_shutdown_((int32_t)PATIENCE_MS), WSPLUG_OK);
    else
        CHECK_INT(wsplug_server_clear_(server, NULL), WSPLUG_OK);
    CHECK(dlclose(library) == 0);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    begin();
    for (int i = 0; i < 1000; i++)
        use(arguments[1], i % 2 == 0 || i == 999);
    use(arguments[1], true);
    CHECK_INT(files_now(), files_before);
    return 0;
}
