/* The limit: a TCP echo without WebSocket, one thread, epoll, one read and one write per readiness.
   It answers the upgrade request with a constant 101 and then returns, for each frame of `in` bytes, `out` bytes
   (the request's path is /in/out), so that it moves as many bytes each way as a WebSocket echo does. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Measured: smaller reads cost up to twice as much when much is in flight, larger ones leave the cache;
   with big messages it pays to read two at once. */
enum { READ_LEAST = 512 * 1024, BUFFER = 4 * 1024 * 1024 };

typedef struct {
    int fd;
    uint32_t in, out;      /* frame sizes; in == 0 before the upgrade */
    uint32_t partial;      /* bytes of the current frame received so far */
    char *rest;            /* what the socket did not take; nothing is read meanwhile */
    size_t rest_at, rest_length;
} Connection;

static const char UPGRADED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static char buffer[BUFFER];
static int poller;

static void drop(Connection *connection) {
    close(connection->fd);
    free(connection->rest);
    free(connection);
}

static void wait_for(Connection *connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* How many bytes are due for `length` more bytes read. */
static size_t due(Connection *connection, size_t length) {
    size_t total = connection->partial + length;
    size_t sent = smaller(connection->partial, connection->out);
    connection->partial = total % connection->in;
    return total / connection->in * connection->out + smaller(connection->partial, connection->out) - sent;
}

static void readable(Connection *connection) {
    size_t room = smaller(connection->in * (size_t)2, BUFFER);
    if (room < READ_LEAST) room = READ_LEAST;
    ssize_t length = recv(connection->fd, buffer, room, 0);
    if (length <= 0) {
        if (length == 0 || errno != EAGAIN) drop(connection);
        return;
    }
    if (!connection->in) {
        /* The load generator sends the request in one segment. */
        buffer[smaller(length, BUFFER - 1)] = 0;
        if (sscanf(buffer, "GET /%u/%u ", &connection->in, &connection->out) != 2 || !connection->in
            || send(connection->fd, UPGRADED, sizeof UPGRADED - 1, MSG_NOSIGNAL) != sizeof UPGRADED - 1)
            drop(connection);
        return;
    }
    size_t answer = due(connection, length);
    ssize_t sent = answer ? send(connection->fd, buffer, answer, MSG_NOSIGNAL) : 0;
    if (sent < 0 && errno != EAGAIN) {
        drop(connection);
        return;
    }
    if (sent < 0) sent = 0;
    if ((size_t)sent < answer) {
        connection->rest_at = 0;
        connection->rest_length = answer - sent;
        connection->rest = malloc(connection->rest_length);
        memcpy(connection->rest, buffer + sent, connection->rest_length);
        wait_for(connection, EPOLLOUT);
    }
}

static void writable(Connection *connection) {
    ssize_t sent = send(connection->fd, connection->rest + connection->rest_at,
                        connection->rest_length - connection->rest_at, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) drop(connection);
        return;
    }
    connection->rest_at += sent;
    if (connection->rest_at == connection->rest_length) {
        free(connection->rest);
        connection->rest = NULL;
        wait_for(connection, EPOLLIN);
    }
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)
        || getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("raw_echo");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < count; i++) {
            Connection *connection = events[i].data.ptr;
            if (!connection) accept_all(listener);
            else if (connection->rest) writable(connection);
            else readable(connection);
        }
    }
}
