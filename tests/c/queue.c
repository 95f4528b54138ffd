/*
 * Threads that send through clients with queueWhileDisconnected while their server comes and goes (argument: thread, inline
 * or pump): no message arrives twice, those of one thread arrive in order, and each is received, lost with its connection
 * or told as unsent.
 */
#include "check.h"

enum { SENDERS = 4, MESSAGES = 200 };

struct numbered {
    int32_t sender, number;
};

static int32_t client, last[SENDERS], received;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_over;

static void WSPLUG_API count(int32_t server, int32_t from, int32_t kind, const void *data, int32_t length, void *user_data)
{
    struct numbered message;
    (void)from, (void)user_data;
    if (server == 0 || kind != WSPLUG_BINARY)
        return;
    CHECK_INT(length, sizeof message);
    memcpy(&message, data, sizeof message);
    pthread_mutex_lock(&lock);
    CHECK(message.number > last[message.sender]);
    last[message.sender] = message.number;
    received++;
    pthread_mutex_unlock(&lock);
}

static int32_t last_of(int sender)
{
    pthread_mutex_lock(&lock);
    int32_t number = last[sender];
    pthread_mutex_unlock(&lock);
    return number;
}

static void WSPLUG_API answer(int32_t server, int32_t from, const char *type, const char *context, const char *worker,
                              int32_t window, int32_t process, void *user_data)
{
    (void)context, (void)worker, (void)window, (void)process, (void)user_data;
    if (server == 0 && strcmp(type, "open") == 0)
        wsplug_client_send(from, WSPLUG_TEXT, "from the callback", 17, NULL);
}

static void *send_all(void *argument)
{
    struct numbered message = {(int32_t)(intptr_t)argument, 1};
    for (; message.number <= MESSAGES; message.number++) {
        int32_t status;
        while ((status = wsplug_client_send(client, WSPLUG_BINARY, &message, sizeof message, NULL)) == WSPLUG_QUEUE_FULL)
            usleep(500);
        CHECK_INT(status, WSPLUG_OK);
        if (message.number % 10 == 0)
            usleep(2000);
    }
    return NULL;
}

static void *pump(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE))
        wsplug_pump(20, 0);
    return NULL;
}

int main(int arguments, char **argument)
{
    pthread_t senders[SENDERS], pumping;
    CHECK(arguments == 2);
    const char *mode = argument[1];
    begin();
    DONE(wsplug_set_callbacks(answer, count, NULL));
    int32_t server = new_server(json("{'port':0,%s,'closeTimeoutMs':1000}", dispatched(mode)));
    int port = started(server);
    client = new_client(json("{'url':'ws://127.0.0.1:%d/',%s,'retryFirst':true,'onOpen':['first'],"
                             "'perMessageDeflate':{'enabled':true,'threshold':0},"
                             "'queueWhileDisconnected':20000,'minWaitBetweenReconnectionRetries':1,"
                             "'maxWaitBetweenReconnectionRetries':5}", port, dispatched(mode)));
    if (strcmp(mode, "pump") == 0)
        CHECK(pthread_create(&pumping, NULL, pump, NULL) == 0);
    DONE(wsplug_client_start(client, "{\"wait\":false}", replied()));
    for (int i = 0; i < SENDERS; i++)
        CHECK(pthread_create(&senders[i], NULL, send_all, (void *)(intptr_t)i) == 0);
    for (int round = 0; round < 10; round++) {
        usleep(10000);
        DONE(wsplug_server_stop(server, NULL, replied()));
        DONE(wsplug_server_start(server, json("{'port':%d}", port), replied()));
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    /* The server stays now: the last message of all arrives. */
    struct numbered message = {0, MESSAGES + 1};
    while (wsplug_client_send(client, WSPLUG_BINARY, &message, sizeof message, NULL) == WSPLUG_QUEUE_FULL)
        usleep(500);
    for (int64_t deadline = now_ms() + PATIENCE_MS; last_of(0) <= MESSAGES; usleep(1000))
        CHECK(now_ms() < deadline);
    DONE(wsplug_client_stop(client, NULL, replied()));
    CHECK(!json_has(reply, "unsent"));
    DONE(wsplug_client_clear(client, replied()));
    DONE(wsplug_server_clear(server, replied()));
    CHECK(received <= SENDERS * MESSAGES + 1);
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    if (strcmp(mode, "pump") == 0)
        pthread_join(pumping, NULL);
    return finish();
}
