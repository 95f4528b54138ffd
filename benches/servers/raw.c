/* The limit: TCP without WebSocket, one thread, epoll, one read and one write per readiness.
   It answers the upgrade request with a constant 101 and then returns, for each `in` bytes, `out` bytes
   (the request's path is /in/out), so that it moves as many bytes each way as a WebSocket server does: to the connection
   that they came from, or with BENCH_ROLE=fan-out to every one. With BENCH_ROLE=send it is a client. Prints its port. */
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
    int index;             /* in `all` */
    uint32_t in, out;      /* frame sizes; in == 0 before the upgrade */
    uint32_t partial;      /* bytes of the current frame received so far */
    char *rest;            /* what the socket did not take; nothing is read meanwhile */
    size_t rest_at, rest_length;
} Connection;

enum { MOST = 65536 };
static Connection *all[MOST];
static int open_count, fans_out;

static const char UPGRADED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static char buffer[BUFFER];
static int poller;

static void drop(Connection *connection) {
    all[connection->index] = all[--open_count];
    all[connection->index]->index = connection->index;
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

/* Sends so many bytes of the buffer, or keeps what the socket does not take. */
static void give(Connection *connection, size_t answer) {
    ssize_t sent = connection->rest ? 0 : send(connection->fd, buffer, answer, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return; /* its next read tells */
    if (sent < 0) sent = 0;
    if ((size_t)sent == answer) return;
    if (!connection->rest) wait_for(connection, EPOLLOUT);
    connection->rest = realloc(connection->rest, connection->rest_length + answer - sent);
    memcpy(connection->rest + connection->rest_length, buffer + sent, answer - sent);
    connection->rest_length += answer - sent;
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
    if (!answer) return;
    if (!fans_out) give(connection, answer);
    else for (int i = 0; i < open_count; i++) give(all[i], answer);
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
        connection->rest_at = connection->rest_length = 0;
        wait_for(connection, EPOLLIN);
    }
}

static void accept_all(int listener) {
    int fd;
    while (open_count < MOST && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        connection->index = open_count;
        all[open_count++] = connection;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

/* A client: as many bytes as messages would have, in large pieces. */
static int send_all(const char *port) {
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&address, sizeof address)
        || send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0 || recv(fd, buffer, 1024, 0) <= 0)
        return 1;
    while (send(fd, buffer, 256 * 1024, MSG_NOSIGNAL) > 0) {}
    return 0;
}

int main(void) {
    const char *role = getenv("BENCH_ROLE");
    if (role && strcmp(role, "send") == 0) return send_all(getenv("BENCH_PORT"));
    fans_out = role && strcmp(role, "fan-out") == 0;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)
        || getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("raw");
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
