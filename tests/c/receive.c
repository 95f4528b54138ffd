/*
 * Threads that receive from the same connections while others send, with buffers that are sometimes too small: each
 * message is received once. Then connections come and go under them: every wait ends.
 */
#include "check.h"

enum { CLIENTS = 3, RECEIVERS = 3, MESSAGES = 300, ROUNDS = 5 };

static int32_t clients[CLIENTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int seen[CLIENTS][MESSAGES];

/* The server answers each message with the same one. */
static void WSPLUG_API echo(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                            void *user_data)
{
    (void)server, (void)user_data;
    wsplug_client_send(client, kind, data, length, NULL);
}

static void *receive(void *argument)
{
    int which = (int)(intptr_t)argument;
    char buffer[64];
    int32_t kind, length, status, room = 4;
    for (;;) {
        status = wsplug_client_receive(clients[which], -1, &kind, buffer, room, &length);
        if (status == WSPLUG_BUFFER_TOO_SMALL) {
            CHECK(length > room);
            room = (int32_t)sizeof buffer;
            continue;
        }
        if (status != WSPLUG_OK)
            break;
        room = 4;
        CHECK_INT(kind, WSPLUG_BINARY);
        int32_t number;
        memcpy(&number, buffer, sizeof number);
        CHECK_INT(length, (int32_t)sizeof number + number % 50);
        pthread_mutex_lock(&lock);
        seen[which][number]++;
        pthread_mutex_unlock(&lock);
    }
    CHECK_INT(status, WSPLUG_WRONG_STATE);
    return NULL;
}

static int count_seen(int which)
{
    int count = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MESSAGES; i++) {
        CHECK(seen[which][i] <= 1);
        count += seen[which][i];
    }
    pthread_mutex_unlock(&lock);
    return count;
}

int main(void)
{
    pthread_t threads[CLIENTS * RECEIVERS];
    begin();
    DONE(wsplug_set_method("echo", NULL, echo, NULL));
    int32_t server = new_server(json("{'port':0,'method':'echo'}"));
    int port = started(server);
    for (int which = 0; which < CLIENTS; which++)
        clients[which] = new_client(json("{'name':'%d','url':'ws://127.0.0.1:%d/','enableAutomaticReconnection':false}",
                                         which, port));
    for (int round = 0; round < ROUNDS; round++) {
        memset(seen, 0, sizeof seen);
        for (int which = 0; which < CLIENTS; which++) {
            int32_t found;
            DONE(wsplug_client_find(json("%d", which), &found));
            CHECK_INT(found, clients[which]);
            DONE(wsplug_client_start(found, NULL, replied()));
            for (int i = 0; i < RECEIVERS; i++)
                CHECK(pthread_create(&threads[which * RECEIVERS + i], NULL, receive, (void *)(intptr_t)which) == 0);
        }
        for (int32_t i = 0; i < MESSAGES; i++) {
            char data[64] = {0};
            memcpy(data, &i, sizeof i);
            for (int which = 0; which < CLIENTS; which++)
                DONE(wsplug_client_send(clients[which], WSPLUG_BINARY, data, (int32_t)sizeof i + i % 50, replied()));
        }
        for (int which = 0; which < CLIENTS; which++) {
            int64_t deadline = now_ms() + PATIENCE_MS;
            while (count_seen(which) < MESSAGES && now_ms() < deadline)
                usleep(1000);
            CHECK_INT(count_seen(which), MESSAGES);
            DONE(wsplug_client_stop(clients[which], NULL, replied()));
        }
        for (int i = 0; i < CLIENTS * RECEIVERS; i++)
            pthread_join(threads[i], NULL);
    }
    return finish();
}
