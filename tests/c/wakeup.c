/*
 * Threads that bring events, and one that looks for them only when it was woken and for the rest sleeps for ever: none is
 * lost, and there are not more wake-ups than events. The argument says how it is woken, or how it looks: fd (a descriptor to
 * poll), pump, portions (pumping three at a time), pull (wsplug_event_next) or messages.
 */
#include "check.h"
#include <poll.h>
#include <semaphore.h>

enum { BRINGING = 4 };

static int32_t server, each;
static int arrived;
static sem_t woken;
static int wakeups;

static void WSPLUG_API wake(void *user_data)
{
    CHECK(user_data == &woken);
    __atomic_add_fetch(&wakeups, 1, __ATOMIC_RELAXED);
    sem_post(&woken);
}

static void WSPLUG_API arrive(int32_t from, int32_t client, const char *type, const char *context, const char *worker,
                              int32_t window, int32_t process, void *user_data)
{
    (void)client, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
    arrived += from < 0 && strcmp(type, "message") == 0;
}

static void *bring(void *client)
{
    for (int32_t sent = 0; sent < each;) {
        int32_t status = wsplug_client_send((int32_t)(intptr_t)client, WSPLUG_TEXT, "work", 4, NULL);
        CHECK(status == WSPLUG_OK || status == WSPLUG_QUEUE_FULL);
        sent += status == WSPLUG_OK;
    }
    return NULL;
}

static void look(const char *how)
{
    wsplug_event *event;
    if (strcmp(how, "pump") == 0) {
        wsplug_pump(0, 0);
    } else if (strcmp(how, "portions") == 0) {
        wsplug_pump(0, 3);
    } else if (strcmp(how, "messages") == 0) {
        do {
            DONE(wsplug_server_messages(server, "{\"max\":10}", replied()));
            for (const char *at = reply; (at = strstr(at, "\"type\":\"message\"")) != NULL; at++)
                arrived++;
        } while (json_count(reply, "") == 10);
    } else {
        while (wsplug_event_next(0, &event) == WSPLUG_OK) {
            arrive(wsplug_event_server(event), 0, wsplug_event_type(event), NULL, NULL, 0, 0, NULL);
            wsplug_event_free(event);
        }
    }
}

int main(int arguments, char **argument)
{
    CHECK(arguments == 2);
    const char *how = argument[1];
    bool by_fd = strcmp(how, "fd") == 0, is_pumped = how[0] == 'p' && strcmp(how, "pull") != 0;
    struct pollfd polled = {-1, POLLIN, 0};
    pthread_t bringing[BRINGING];
    each = 4000 / slowness();
    begin();
    CHECK(sem_init(&woken, 0, 0) == 0);
    DONE(wsplug_init(is_pumped ? "{\"dispatch\":\"pump\"}" : "{}", NULL));
    if (is_pumped)
        DONE(wsplug_set_callbacks(arrive, NULL, NULL));
    server = new_server("{\"port\":0}");
    int port = started(server);
    DONE(wsplug_set_wakeup(by_fd ? "{\"fd\":true}" : NULL, by_fd ? NULL : wake, &woken, replied()));
    if (by_fd)
        polled.fd = (int)json_int(reply, "fd");
    for (int i = 0; i < BRINGING; i++)
        CHECK(pthread_create(&bringing[i], NULL, bring, (void *)(intptr_t)connected(port)) == 0);
    /* Once each event has arrived, nobody wakes us any more: a wake-up that is lost before is seen by the watchdog. */
    while (arrived < BRINGING * each) {
        if (by_fd)
            CHECK_INT(poll(&polled, 1, -1), 1);
        else
            CHECK(sem_wait(&woken) == 0);
        look(how);
    }
    for (int i = 0; i < BRINGING; i++)
        pthread_join(bringing[i], NULL);
    CHECK_INT(arrived, BRINGING * each);
    DONE(wsplug_set_wakeup(NULL, NULL, NULL, NULL)); /* and none runs any more */
    /* Each was for something; besides the messages there were the opens. */
    CHECK(by_fd ? wakeups == 0 : wakeups > 0 && wakeups <= arrived + 2 * BRINGING);
    int code = finish();
    sem_destroy(&woken);
    return code;
}
