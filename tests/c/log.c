/* The log goes to the host's callback up to the level that it asked for, and nowhere else. */
#include "raw.h"

static int lines[8];
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_secret_told;

static void WSPLUG_API count_line(int32_t level, const char *message, void *user_data)
{
    CHECK(user_data == lines);
    CHECK(level >= WSPLUG_LOG_ERROR && level <= WSPLUG_LOG_DEBUG);
    CHECK(message != NULL && *message != 0);
    pthread_mutex_lock(&lines_lock);
    lines[level]++;
    is_secret_told |= strstr(message, "TopSecret") != NULL;
    pthread_mutex_unlock(&lines_lock);
    /* The library may be called from here. */
    CHECK(wsplug_version() != NULL);
    CHECK_INT(wsplug_server_clients(INT32_MIN, NULL), WSPLUG_UNKNOWN_REF);
}

static void WSPLUG_API replace_itself(int32_t level, const char *message, void *user_data)
{
    (void)level, (void)message;
    DONE(wsplug_set_log_callback(WSPLUG_LOG_DEBUG, count_line, user_data));
}

/* Much that is worth a line: a start, a bad request, a protocol error, a message, a failed attempt. */
static void live(void)
{
    int32_t server = new_server("{\"port\":0,\"auth\":{\"bearer\":[\"TopSecret\"]}}");
    int port = started(server);
    int fd = raw_connect(port);
    CHECK(raw_write(fd, "TopSecret\r\n\r\n", 13));
    raw_end(fd);
    fd = raw_connect(port);
    CHECK_INT(raw_status(raw_ask(fd, "/", "Authorization: Bearer TopSecret\r\n")), 101);
    CHECK(raw_frame(fd, 0x81, true, "TopSecret", 9));
    CHECK(raw_frame(fd, 0xC1, true, "TopSecret", 9));
    CHECK_INT(raw_close_code(fd), 1002);
    raw_end(fd);
    AWAIT("close", server);
    DONE(wsplug_server_clear(server, NULL));
    int32_t client = new_client(json("{'url':'ws://127.0.0.1:%d/?token=TopSecret','enableAutomaticReconnection':false}", port));
    CHECK(wsplug_client_start(client, NULL, replied()) < 0);
    DONE(wsplug_client_clear(client, NULL));
}

int main(void)
{
    begin();
    delivery = PULLED;
    DONE(wsplug_set_log_callback(WSPLUG_LOG_DEBUG, count_line, lines));
    live();
    CHECK(lines[WSPLUG_LOG_INFO] > 0);
    CHECK_INT(lines[WSPLUG_LOG_ERROR], 0);
    CHECK(!is_secret_told);

    DONE(wsplug_set_log_callback(WSPLUG_LOG_WARN, count_line, lines));
    memset(lines, 0, sizeof lines);
    live();
    CHECK_INT(lines[WSPLUG_LOG_INFO] + lines[WSPLUG_LOG_DEBUG], 0);

    DONE(wsplug_set_log_callback(WSPLUG_LOG_DEBUG, replace_itself, lines));
    live();
    CHECK(lines[WSPLUG_LOG_INFO] > 0);

    DONE(wsplug_set_log_callback(WSPLUG_LOG_DEBUG, NULL, NULL));
    memset(lines, 0, sizeof lines);
    live();
    DONE(wsplug_set_log_callback(WSPLUG_LOG_OFF, count_line, lines));
    live();
    CHECK_INT(lines[WSPLUG_LOG_ERROR] + lines[WSPLUG_LOG_WARN] + lines[WSPLUG_LOG_INFO] + lines[WSPLUG_LOG_DEBUG], 0);
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_set_log_callback(5, count_line, lines));
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_set_log_callback(-1, count_line, lines));
    return finish();
}
