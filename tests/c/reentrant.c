/*
 * Every command is called from inside callbacks (argument: thread, inline or pump): it works or says that it cannot,
 * and never hangs.
 */
#include "check.h"

static int32_t server, client;
static int port;
static const char *mode;

/* What the callback did, and the status that it got. */
struct deed {
    bool done;
    int32_t status, more;
};
static struct deed deeds[16];
static pthread_mutex_t deeds_lock = PTHREAD_MUTEX_INITIALIZER;

enum { SEND, BROADCAST, STOP, CLEAR, START_AND_WAIT, START, SERVER_STOP, SERVER_START, SERVER_CLEAR, SHUTDOWN, PUMP, NEXT, CREATE };

static void did(int what, int32_t status, int32_t more)
{
    pthread_mutex_lock(&deeds_lock);
    deeds[what] = (struct deed){true, status, more};
    pthread_mutex_unlock(&deeds_lock);
}

/* Tells the callback on which it runs what to do: the message is a number of the enum above. */
static void act(int32_t sender, int what)
{
    wsplug_event *event = NULL;
    int32_t made = 0;
    switch (what) {
    case SEND:
        did(SEND, wsplug_client_send(sender, WSPLUG_TEXT, "answer", 6, NULL), 0);
        break;
    case BROADCAST:
        did(BROADCAST, wsplug_server_send(server, WSPLUG_TEXT, "to all", 6, NULL, NULL), 0);
        break;
    case STOP:
        did(STOP, wsplug_client_stop(sender, "{\"code\":4000}", NULL), 0);
        break;
    case CLEAR:
        did(CLEAR, wsplug_client_clear(sender, NULL), 0);
        break;
    case START_AND_WAIT:
        made = new_client(json("{'url':'ws://127.0.0.1:%d/',%s}", port, dispatched(mode)));
        did(START_AND_WAIT, wsplug_client_start(made, NULL, NULL), made);
        break;
    case START:
        made = new_client(json("{'url':'ws://127.0.0.1:%d/',%s}", port, dispatched(mode)));
        did(START, wsplug_client_start(made, "{\"wait\":false}", NULL), made);
        break;
    case SERVER_STOP:
        did(SERVER_STOP, wsplug_server_stop(server, NULL, NULL), 0);
        break;
    case SERVER_START:
        did(SERVER_START, wsplug_server_start(server, NULL, NULL), 0);
        break;
    case SERVER_CLEAR:
        did(SERVER_CLEAR, wsplug_server_clear(server, NULL), 0);
        break;
    case SHUTDOWN:
        did(SHUTDOWN, wsplug_shutdown(1000), 0);
        break;
    case PUMP:
        did(PUMP, wsplug_pump(0, 10), 0);
        break;
    case NEXT:
        did(NEXT, wsplug_event_next(0, &event), event != NULL);
        break;
    case CREATE:
        did(CREATE, wsplug_server_create(json("{'port':0,%s}", dispatched(mode)), &made, NULL), made);
        DONE(wsplug_server_start(made, NULL, NULL));
        DONE(wsplug_server_clear(made, NULL));
        break;
    }
    /* Each thread has its own, and the library's threads do not come to the end of the program. */
    replied();
}

static void WSPLUG_API act_on_message(int32_t from_server, int32_t sender, int32_t kind, const void *data, int32_t length,
                                      void *user_data)
{
    if (from_server == server && kind == WSPLUG_BINARY)
        act(sender, *(const unsigned char *)data);
    on_message(from_server, sender, kind, data, length, user_data);
}

static struct deed have_done(int what)
{
    unsigned char message = (unsigned char)what;
    struct deed deed = {0};
    DONE(wsplug_client_send(client, WSPLUG_BINARY, &message, 1, replied()));
    for (int64_t deadline = now_ms() + PATIENCE_MS; !deed.done && now_ms() < deadline;) {
        if (delivery == PUMPED)
            fetch(100);
        pthread_mutex_lock(&deeds_lock);
        deed = deeds[what];
        pthread_mutex_unlock(&deeds_lock);
    }
    if (!deed.done)
        failed(__FILE__, __LINE__, "deed %d was not done", what);
    deeds[what].done = false;
    return deed;
}

static void start_server(void)
{
    server = new_server(json("{'port':0,%s}", dispatched(mode)));
    port = started(server);
}

static int32_t connect_client(void)
{
    client = new_client(json("{'url':'ws://127.0.0.1:%d/',%s,'enableAutomaticReconnection':false}", port, dispatched(mode)));
    DONE(wsplug_client_start(client, NULL, replied()));
    AWAIT("open", client);
    return AWAIT("open", server)->client;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    mode = arguments[1];
    delivery = strcmp(mode, "pump") == 0 ? PUMPED : CALLED;
    begin();
    DONE(wsplug_set_callbacks(on_event, act_on_message, NULL));
    start_server();
    int32_t accepted = connect_client();

    CHECK_INT(have_done(SEND).status, WSPLUG_OK);
    CHECK_TEXT(AWAIT("message", client)->data, "answer");
    CHECK_INT(have_done(BROADCAST).status, WSPLUG_OK);
    CHECK_TEXT(AWAIT("message", client)->data, "to all");
    CHECK_INT(have_done(PUMP).status, WSPLUG_IN_CALLBACK);
    CHECK_INT(have_done(SHUTDOWN).status, WSPLUG_IN_CALLBACK);
    CHECK_INT(have_done(NEXT).status, WSPLUG_TIMEOUT);
    CHECK_INT(have_done(CREATE).status, WSPLUG_OK);

    /* Where waiting would be for the very thread that it is called on, it is refused. */
    struct deed deed = have_done(START_AND_WAIT);
    if (strcmp(mode, "inline") == 0) {
        CHECK_INT(deed.status, WSPLUG_IN_CALLBACK);
    } else {
        CHECK_INT(deed.status, WSPLUG_OK);
        AWAIT("open", deed.more);
        AWAIT("open", server);
    }
    DONE(wsplug_client_clear(deed.more, NULL));
    deed = have_done(START);
    CHECK_INT(deed.status, WSPLUG_OK);
    AWAIT("open", deed.more);
    AWAIT("open", server);
    DONE(wsplug_client_clear(deed.more, NULL));

    CHECK_INT(have_done(STOP).status, WSPLUG_OK);
    CHECK_JSON(AWAIT("close", accepted)->context, "code", "4000");
    CHECK_JSON(AWAIT("close", client)->context, "code", "4000");
    DONE(wsplug_client_clear(client, NULL));

    accepted = connect_client();
    CHECK_INT(have_done(CLEAR).status, WSPLUG_OK);
    AWAIT("close", client);
    REFUSED(WSPLUG_UNKNOWN_REF, send_text(accepted, "gone"));
    DONE(wsplug_client_clear(client, NULL));

    accepted = connect_client();
    CHECK_INT(have_done(SERVER_START).status, WSPLUG_WRONG_STATE);
    CHECK_INT(have_done(SERVER_STOP).status, WSPLUG_OK);
    AWAIT("close", client);
    AWAIT("close", accepted);
    /* The connections were not waited for inside the callback; now they have ended, and the server can start again. */
    port = started(server);
    DONE(wsplug_client_clear(client, NULL));

    accepted = connect_client();
    CHECK_INT(have_done(SERVER_CLEAR).status, WSPLUG_OK);
    AWAIT("close", client);
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_stop(server, NULL, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, send_text(accepted, "gone"));
    DONE(wsplug_client_clear(client, NULL));
    return finish();
}
