/* Shutting down closes everything, delivers what is left, and the library can be used afresh. */
#include "raw.h"

#include <stdatomic.h>

static void everything_is_closed_and_delivered(void)
{
    DONE(wsplug_set_callbacks(on_event, on_message, NULL));
    int32_t server = new_server("{\"port\":0}");
    int port = started(server);
    int32_t client = connected(port);
    AWAIT("open", server);
    for (int i = 0; i < 100; i++)
        DONE(send_text(client, "last words"));
    /* The answer to a ping says that everything before it has arrived. */
    DONE(wsplug_client_send(client, WSPLUG_PING, "", 0, NULL));
    AWAIT("pong", client);
    DONE(wsplug_shutdown((int32_t)PATIENCE_MS));
    CHECK_INT(count_events("message", server), 100);
    CHECK_INT(count_events("close", server), 1);
    CHECK_INT(count_events("close", client), 1);
    CHECK_JSON(AWAIT("close", client)->context, "code", "1001");
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_start(server, NULL, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, send_text(client, "gone"));
    forget_events();
}

/* The time is kept although the peer neither reads nor answers. */
static void a_deaf_peer_holds_nothing_up(void)
{
    DONE(wsplug_set_callbacks(on_event, on_message, NULL));
    int32_t server = new_server("{\"port\":0}");
    int port = started(server);
    int deaf = raw_client(port), silent = raw_connect(port);
    AWAIT("open", server);
    int64_t before = now_ms();
    CHECK(wsplug_shutdown(500) >= 0);
    CHECK(now_ms() - before < allowed_ms(4000));
    CHECK_INT(count_events("close", server), 1);
    close(deaf);
    close(silent);
    forget_events();
}

static void what_waited_to_be_pulled_still_can_be(void)
{
    delivery = PULLED;
    int32_t server = new_server("{\"port\":0}");
    int port = started(server);
    int32_t client = connected(port);
    DONE(send_text(client, "late"));
    DONE(wsplug_client_send(client, WSPLUG_PING, "", 0, NULL));
    AWAIT("pong", client);
    DONE(wsplug_shutdown((int32_t)PATIENCE_MS));
    CHECK_INT(AWAIT("open", server)->server, server);
    CHECK_TEXT(AWAIT("message", server)->data, "late");
    AWAIT("close", server);
    AWAIT("open", client);
    AWAIT("close", client);
    wsplug_event *event = NULL;
    CHECK_INT(wsplug_event_next(0, &event), WSPLUG_TIMEOUT);
    delivery = CALLED;
    forget_events();
}

/* Nobody asks for these any more: they must not be lost blocks. */
static void what_nobody_pulls_is_not_leaked(void)
{
    int32_t server = new_server("{\"port\":0}");
    int port = started(server);
    int32_t client = connected(port);
    DONE(send_text(client, "never read"));
    DONE(wsplug_shutdown((int32_t)PATIENCE_MS));
}

static void init_is_for_the_beginning(void)
{
    CHECK(wsplug_shutdown(0) >= 0);
    REFUSED(WSPLUG_INVALID_OPTIONS, wsplug_init("{\"threads\":0}", replied()));
    REFUSED(WSPLUG_INVALID_OPTIONS, wsplug_init("{\"dispatch\":\"never\"}", replied()));
    CHECK_JSON(reply, "error.option", "'dispatch'");
    DONE(wsplug_init("{\"threads\":2,\"dispatch\":\"pump\"}", replied()));
    DONE(wsplug_set_callbacks(on_event, on_message, NULL));
    int32_t server = new_server("{\"port\":0}");
    REFUSED(WSPLUG_WRONG_STATE, wsplug_init("{\"threads\":1}", replied()));
    close(raw_client(started(server)));
    delivery = PUMPED;
    CHECK(pthread_equal(AWAIT("open", server)->thread, pthread_self()));
    AWAIT("close", server);
    DONE(wsplug_shutdown((int32_t)PATIENCE_MS));
    delivery = CALLED;
    forget_events();
}

/* Other threads go on calling meanwhile: each call gets an answer, and nothing that they made is left behind. */
static atomic_bool is_over;

static void *call(void *unused)
{
    (void)unused;
    while (!is_over) {
        int32_t server = 0;
        if (wsplug_server_create("{\"port\":0}", &server, NULL) == WSPLUG_OK) {
            int32_t status = wsplug_server_start(server, NULL, NULL);
            CHECK(status == WSPLUG_OK || status == WSPLUG_UNKNOWN_REF || status == WSPLUG_WRONG_STATE);
            status = wsplug_server_clear(server, NULL);
            CHECK(status == WSPLUG_OK || status == WSPLUG_UNKNOWN_REF);
        }
    }
    return NULL;
}

static void other_threads_get_an_answer(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, call, NULL) == 0);
    for (int i = 0; i < 10; i++)
        CHECK(wsplug_shutdown((int32_t)PATIENCE_MS) >= 0);
    is_over = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    begin();
    DONE(wsplug_shutdown(0)); /* before anything */
    for (int round = 0; round < 3; round++)
        everything_is_closed_and_delivered();
    a_deaf_peer_holds_nothing_up();
    what_waited_to_be_pulled_still_can_be();
    what_nobody_pulls_is_not_leaked();
    init_is_for_the_beginning();
    other_threads_get_an_answer();
    return finish();
}
