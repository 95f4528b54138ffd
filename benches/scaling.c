/*
 * What a second callback thread brings: callbacks of 50 µs of work each, "dispatch":"perConnection", on one thread and on two.
 * scaling [rounds]. Everything has arrived before the first callback may begin, so that only the callbacks are measured.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../include/wsplug.h"

enum { CONNECTIONS = 16, EACH = 250, ALL = CONNECTIONS * EACH, WORK_NS = 50000 };

static atomic_int opened, done;
static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER;

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void must(int32_t status)
{
    if (status == WSPLUG_OK) return;
    fprintf(stderr, "scaling: %s\n", wsplug_status_text(status));
    exit(1);
}

static void WSPLUG_API on_event(int32_t server, int32_t client, const char *type, const char *context, const char *worker,
                                int32_t window, int32_t process, void *user_data)
{
    (void)server, (void)client, (void)context, (void)worker, (void)window, (void)process, (void)user_data;
    if (strcmp(type, "open") == 0) opened++;
}

static void WSPLUG_API on_message(int32_t server, int32_t client, int32_t kind, const void *data, int32_t length,
                                  void *user_data)
{
    (void)server, (void)client, (void)kind, (void)data, (void)length, (void)user_data;
    pthread_rwlock_rdlock(&gate);
    pthread_rwlock_unlock(&gate);
    int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + WORK_NS;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) continue;
    done++;
}

static long number_in(const char *reply, const char *name)
{
    const char *at = strstr(reply, name);
    return at ? atol(at + strlen(name)) : 0;
}

/* Milliseconds for all callbacks. */
static double run(int threads, const char *more)
{
    char options[200], *reply = NULL;
    int32_t server, clients[CONNECTIONS];
    snprintf(options, sizeof options, "{\"callbackThreads\":%d}", threads);
    must(wsplug_init(options, NULL));
    must(wsplug_set_callbacks(on_event, on_message, NULL));
    snprintf(options, sizeof options, "{\"port\":0,\"dispatch\":\"perConnection\"%s}", more);
    must(wsplug_server_create(options, &server, NULL));
    must(wsplug_server_start(server, NULL, &reply));
    snprintf(options, sizeof options, "{\"url\":\"ws://127.0.0.1:%ld/\",\"dispatch\":\"pull\"}",
             number_in(reply, "\"port\":"));
    wsplug_free(reply);
    opened = done = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        must(wsplug_client_create(options, &clients[i], NULL));
        must(wsplug_client_start(clients[i], NULL, NULL));
    }
    while (opened < CONNECTIONS) usleep(1000);
    pthread_rwlock_wrlock(&gate);
    for (int n = 0; n < EACH; n++)
        for (int i = 0; i < CONNECTIONS; i++) must(wsplug_client_send(clients[i], WSPLUG_TEXT, "work", 4, NULL));
    for (long waiting = 0; waiting < ALL; usleep(1000)) {
        must(wsplug_server_info(server, &reply));
        waiting = number_in(reply, "\"eventQueueEvents\":");
        wsplug_free(reply);
    }
    int64_t began = now_ns(CLOCK_MONOTONIC);
    pthread_rwlock_unlock(&gate);
    while (done < ALL) usleep(100);
    double ms = (double)(now_ns(CLOCK_MONOTONIC) - began) / 1e6;
    must(wsplug_shutdown(10000));
    return ms;
}

int main(int argc, char **argv)
{
    static const char *const ways[][2] = {{"perConnection", ""}, {"with affinity", ",\"affinity\":true"}};
    printf("| dispatch | one thread | two threads | ratio |\n|---|---|---|---|\n");
    for (int round = 0; round < (argc > 1 ? atoi(argv[1]) : 3); round++)
        for (int way = 0; way < 2; way++) {
            double one = run(1, ways[way][1]), two = run(2, ways[way][1]);
            printf("| %s | %.0f ms | %.0f ms | %.2f |\n", ways[way][0], one, two, one / two);
        }
    return 0;
}
