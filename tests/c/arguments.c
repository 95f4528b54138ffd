/* NULL, negative lengths and unknown kinds everywhere: an answer that names the argument, and nothing else happens. */
#include "check.h"

#define NAMES(argument) names(__FILE__, __LINE__, (argument))

/* The reply of a refused command is in the usual shape, and its message names the argument. */
static void names(const char *file, int line, const char *argument)
{
    CHECK_JSON(reply, "success", "false");
    CHECK_JSON(reply, "error.code", "-1");
    CHECK_JSON(reply, "error.name", "'invalid_argument'");
    if (strstr(json_text(reply, "error.message"), argument) == NULL)
        failed(file, line, "%s is not named in %s", argument, reply);
}

static void commands_name_the_argument(int32_t server, int32_t client)
{
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_server_create(NULL, NULL, replied()));
    NAMES("server");
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_client_create("{\"url\":\"ws://127.0.0.1:9/\"}", NULL, replied()));
    NAMES("client");
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_client_send(client, WSPLUG_TEXT, NULL, 1, replied()));
    NAMES("data");
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_client_send(client, WSPLUG_TEXT, "x", -1, replied()));
    NAMES("length");
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_client_send(client, WSPLUG_TEXT, "x", INT32_MIN, replied()));
    NAMES("length");
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_server_send(server, WSPLUG_BINARY, NULL, 1, NULL, replied()));
    NAMES("data");
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_server_send(server, WSPLUG_BINARY, "x", -1, NULL, replied()));
    NAMES("length");
    const int32_t kinds[] = {0, 3, 7, 8, 11, 15, 16, 257, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_client_send(client, kinds[i], "x", 1, replied()));
        NAMES("kind");
        REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_server_send(server, kinds[i], "x", 1, NULL, replied()));
        NAMES("kind");
    }
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_client_send(client, WSPLUG_TEXT, "\xC3\x28", 2, replied()));
    NAMES("UTF-8");
}

static void an_empty_message_needs_no_data(int32_t server, int32_t client)
{
    DONE(wsplug_client_send(client, WSPLUG_TEXT, NULL, 0, replied()));
    CHECK_JSON(reply, "payloadSize", "0");
    struct event *event = AWAIT("message", server);
    CHECK_INT(event->length, 0);
    CHECK_INT(event->kind, WSPLUG_TEXT);
    DONE(wsplug_server_send(server, WSPLUG_BINARY, NULL, 0, NULL, replied()));
    event = AWAIT("message", client);
    CHECK_INT(event->length, 0);
    CHECK_INT(event->kind, WSPLUG_BINARY);
}

static void ref_0_is_no_object(void)
{
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_start(0, NULL, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_start(0, NULL, replied()));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_client_send(0, WSPLUG_TEXT, NULL, 0, NULL));
    REFUSED(WSPLUG_UNKNOWN_REF, wsplug_server_send(0, WSPLUG_TEXT, NULL, 0, NULL, NULL));
}

static void no_reply_is_built_where_none_is_wanted(int32_t server, int32_t client)
{
    DONE(wsplug_server_stop(server, NULL, NULL));
    DONE(wsplug_server_start(server, "", NULL));
    DONE(wsplug_server_clients(server, NULL));
    DONE(wsplug_server_messages(server, NULL, NULL));
    DONE(wsplug_server_send(server, WSPLUG_TEXT, "x", 1, "", NULL));
    DONE(wsplug_client_stop(client, "", NULL));
    DONE(wsplug_client_messages(client, "", NULL));
    REFUSED(WSPLUG_INVALID_OPTIONS, wsplug_client_start(client, "{", NULL));
    DONE(wsplug_client_clear(client, NULL));
    DONE(wsplug_server_clear(server, NULL));
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_server_create(NULL, NULL, NULL));
}

static void events_that_are_null_are_empty(void)
{
    int32_t length = 5;
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_event_next(0, NULL));
    CHECK_INT(wsplug_event_server(NULL), 0);
    CHECK_INT(wsplug_event_client(NULL), 0);
    CHECK_INT(wsplug_event_kind(NULL), 0);
    CHECK_INT(wsplug_event_window(NULL), 0);
    CHECK_INT(wsplug_event_process(NULL), 0);
    CHECK_TEXT(wsplug_event_type(NULL), "");
    CHECK_TEXT(wsplug_event_context(NULL), "");
    CHECK_TEXT(wsplug_event_worker(NULL), "");
    CHECK_TEXT(wsplug_event_method(NULL), "");
    CHECK(wsplug_event_data(NULL, &length) == NULL);
    CHECK_INT(length, 0);
    CHECK(wsplug_event_data(NULL, NULL) == NULL);
    wsplug_event_free(NULL);
}

static void an_events_length_may_be_left_out(int32_t server, int32_t client)
{
    wsplug_event *event = NULL;
    DONE(send_text(client, "hi"));
    DONE(wsplug_event_next((int32_t)PATIENCE_MS, &event));
    CHECK_INT(wsplug_event_server(event), server);
    CHECK(memcmp(wsplug_event_data(event, NULL), "hi", 2) == 0);
    wsplug_event_free(event);
}

static void callbacks_may_be_taken_back(void)
{
    DONE(wsplug_set_callbacks(on_event, NULL, NULL));
    DONE(wsplug_set_callbacks(NULL, NULL, NULL));
    DONE(wsplug_set_method("name", on_event, on_message, NULL));
    DONE(wsplug_set_method("name", NULL, NULL, NULL));
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_set_method(NULL, on_event, on_message, NULL));
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_set_method("", on_event, on_message, NULL));
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_set_method("\xFF", on_event, on_message, NULL));
    CHECK_INT(wsplug_pump(0, 0), 0);
    CHECK_INT(wsplug_pump(0, -1), 0);
}

int main(void)
{
    begin();
    delivery = PULLED;
    int32_t server = new_server("{\"port\":0}");
    int32_t client = connected(started(server));
    AWAIT("open", server);
    AWAIT("open", client);
    commands_name_the_argument(server, client);
    an_empty_message_needs_no_data(server, client);
    an_events_length_may_be_left_out(server, client);
    ref_0_is_no_object();
    events_that_are_null_are_empty();
    callbacks_may_be_taken_back();
    no_reply_is_built_where_none_is_wanted(server, client);
    return finish();
}
