/* draft: is replaced by the generated header */
#ifndef WSPLUG_H
#define WSPLUG_H
#include <stdint.h>
#if defined(_WIN32) && !defined(_WIN64)
#define WSPLUG_API __stdcall
#else
#define WSPLUG_API
#endif
#define WSPLUG_ABI_VERSION 1
#define WSPLUG_OK 0
#define WSPLUG_TIMEOUT 1
#define WSPLUG_INVALID_ARGUMENT -1
#define WSPLUG_INVALID_OPTIONS -2
#define WSPLUG_UNKNOWN_REF -3
#define WSPLUG_WRONG_STATE -4
#define WSPLUG_QUEUE_FULL -5
#define WSPLUG_TOO_LARGE -6
#define WSPLUG_NETWORK -7
#define WSPLUG_IN_CALLBACK -8
#define WSPLUG_FORKED -9
#define WSPLUG_BUFFER_TOO_SMALL -10
#define WSPLUG_INTERNAL -99
#define WSPLUG_TEXT 1
#define WSPLUG_BINARY 2
#define WSPLUG_PING 9
#define WSPLUG_PONG 10
#define WSPLUG_LOG_OFF 0
#define WSPLUG_LOG_ERROR 1
#define WSPLUG_LOG_WARN 2
#define WSPLUG_LOG_INFO 3
#define WSPLUG_LOG_DEBUG 4
#ifdef __cplusplus
extern "C" {
#endif
typedef struct wsplug_event wsplug_event;
typedef void (WSPLUG_API *wsplug_event_callback)(int32_t server, int32_t client, const char *type,
        const char *context, const char *worker, int32_t window, int32_t process, void *user_data);
typedef void (WSPLUG_API *wsplug_message_callback)(int32_t server, int32_t client, int32_t kind,
        const void *data, int32_t length, void *user_data);
typedef void (WSPLUG_API *wsplug_log_callback)(int32_t level, const char *message, void *user_data);
int32_t WSPLUG_API wsplug_abi_version(void);
const char *WSPLUG_API wsplug_version(void);
int32_t WSPLUG_API wsplug_init(const char *options, char **reply);
int32_t WSPLUG_API wsplug_shutdown(int32_t timeout_ms);
int32_t WSPLUG_API wsplug_set_log_callback(int32_t level, wsplug_log_callback callback, void *user_data);
const char *WSPLUG_API wsplug_status_text(int32_t status);
void WSPLUG_API wsplug_free(char *text);
int32_t WSPLUG_API wsplug_text_copy(const char *text, char *buffer, int32_t capacity);
int32_t WSPLUG_API wsplug_server_create(const char *options, int32_t *server, char **reply);
int32_t WSPLUG_API wsplug_server_start(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_stop(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_send(int32_t server, int32_t kind, const void *data, int32_t length, const char *options, char **reply);
int32_t WSPLUG_API wsplug_server_clear(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_clients(int32_t server, char **reply);
int32_t WSPLUG_API wsplug_server_messages(int32_t server, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_create(const char *options, int32_t *client, char **reply);
int32_t WSPLUG_API wsplug_client_start(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_stop(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_client_send(int32_t client, int32_t kind, const void *data, int32_t length, char **reply);
int32_t WSPLUG_API wsplug_client_clear(int32_t client, char **reply);
int32_t WSPLUG_API wsplug_client_messages(int32_t client, const char *options, char **reply);
int32_t WSPLUG_API wsplug_set_callbacks(wsplug_event_callback on_event, wsplug_message_callback on_message, void *user_data);
int32_t WSPLUG_API wsplug_set_method(const char *name, wsplug_event_callback on_event, wsplug_message_callback on_message, void *user_data);
int32_t WSPLUG_API wsplug_event_next(int32_t timeout_ms, wsplug_event **event);
void WSPLUG_API wsplug_event_wake(void);
int32_t WSPLUG_API wsplug_event_server(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_client(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_kind(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_window(const wsplug_event *event);
int32_t WSPLUG_API wsplug_event_process(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_type(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_context(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_worker(const wsplug_event *event);
const char *WSPLUG_API wsplug_event_method(const wsplug_event *event);
const void *WSPLUG_API wsplug_event_data(const wsplug_event *event, int32_t *length);
void WSPLUG_API wsplug_event_free(wsplug_event *event);
int32_t WSPLUG_API wsplug_pump(int32_t timeout_ms, int32_t max);
#ifdef __cplusplus
}
#endif
#endif
