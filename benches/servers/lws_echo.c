/* Debian's libwebsockets: a whole message is collected, then sent with one lws_write. Prints its port. */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Message {
    struct Message *next;
    size_t length;
    int binary;
} Message; /* LWS_PRE bytes of room and the payload follow */

typedef struct {
    Message *partial, *first, *last;
    size_t capacity;
} Session;

static unsigned char *payload(Message *message) { return (unsigned char *)(message + 1) + LWS_PRE; }

static int append(Session *session, const void *data, size_t length) {
    size_t before = session->partial ? session->partial->length : 0;
    if (!session->partial || before + length > session->capacity) {
        session->capacity = (before + length) * 2;
        Message *grown = realloc(session->partial, sizeof(Message) + LWS_PRE + session->capacity);
        if (!grown) return -1;
        session->partial = grown;
    }
    memcpy(payload(session->partial) + before, data, length);
    session->partial->length = before + length;
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
    Session *session = user;
    switch (reason) {
    case LWS_CALLBACK_RECEIVE:
        if (append(session, in, length)) return -1;
        if (lws_remaining_packet_payload(wsi) || !lws_is_final_fragment(wsi)) return 0;
        Message *message = session->partial;
        message->next = NULL;
        message->binary = lws_frame_is_binary(wsi);
        if (session->last) session->last->next = message;
        else session->first = message;
        session->last = message;
        session->partial = NULL;
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        /* The library allows one write per callback once its socket pushes back. */
        while (session->first) {
            Message *next = session->first;
            int sent = lws_write(wsi, payload(next), next->length,
                                 next->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
            session->first = next->next;
            if (!session->first) session->last = NULL;
            free(next);
            if (sent < 0) return -1;
            if (lws_send_pipe_choked(wsi)) break;
        }
        if (session->first) lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLOSED:
        free(session->partial);
        while (session->first) {
            Message *next = session->first->next;
            free(session->first);
            session->first = next;
        }
        return 0;
    default:
        return 0;
    }
}

int main(void) {
    lws_set_log_level(0, NULL);
    static const struct lws_protocols protocols[] = {
        {"echo", on_event, sizeof(Session), 128 * 1024, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = 0;
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.pt_serv_buf_size = 128 * 1024;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    struct lws_context *context = lws_create_context(&info);
    struct lws_vhost *host = context ? lws_create_vhost(context, &info) : NULL;
    if (!host) {
        fprintf(stderr, "lws_echo: cannot listen\n");
        return 1;
    }
    printf("%d\n", lws_get_vhost_listen_port(host));
    fflush(stdout);
    while (lws_service(context, 0) >= 0) {}
}
