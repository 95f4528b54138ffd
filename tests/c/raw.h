/*
 * A peer on a plain socket, which writes each byte itself and reads each byte that wsplug wrote.
 */
#ifndef RAW_H
#define RAW_H

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

struct frame {
    int first;  /* FIN, RSV and opcode; -1: the connection has ended */
    bool masked;
    unsigned char key[4];
    uint64_t length;
    unsigned char *payload; /* unmasked, NUL behind it; free() it */
};

static inline void raw_patience(int fd)
{
    int64_t ms = PATIENCE_MS;
    struct timeval patience = {ms / 1000, (ms % 1000) * 1000};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline struct sockaddr_in raw_address(int port)
{
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Listens on a port of the system's choice. */
static inline int raw_listen(int *port)
{
    struct sockaddr_in address = raw_address(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    raw_patience(fd);
    return fd;
}

static inline int raw_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    raw_patience(fd);
    return fd;
}

static inline int raw_connect(int port)
{
    struct sockaddr_in address = raw_address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    raw_patience(fd);
    return fd;
}

/* False if the peer has gone; a raw peer is no better guest than wsplug, so no SIGPIPE here either. */
static inline bool raw_write(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t written = send(fd, at, length, MSG_NOSIGNAL);
        if (written <= 0)
            return false;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

/* False if the connection ended before; fails the test if nothing comes in time. */
static inline bool raw_read(int fd, void *data, size_t length)
{
    char *at = data;
    while (length > 0) {
        ssize_t got = recv(fd, at, length, 0);
        if (got < 0)
            CHECK(errno == ECONNRESET || errno == EPIPE);
        if (got <= 0)
            return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

/* Reads an HTTP head, up to and with the empty line. */
static inline const char *raw_head(int fd)
{
    static __thread char head[16384];
    size_t length = 0;
    do {
        CHECK(length + 1 < sizeof head);
        if (!raw_read(fd, head + length, 1))
            break;
        head[++length] = 0;
    } while (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4) != 0);
    head[length] = 0;
    return head;
}

/* The value of a header, or NULL. */
static inline const char *raw_header(const char *head, const char *name)
{
    static __thread char value[1024];
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            line += strlen(name) + 1;
            line += strspn(line, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
            return value;
        }
    }
    return NULL;
}

/* SHA-1 of up to 119 bytes, for Sec-WebSocket-Accept (FIPS 180-4). */
static inline void raw_sha1(const char *text, unsigned char digest[20])
{
    unsigned char block[128] = {0};
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t length = strlen(text), size = length < 56 ? 64 : 128;
    CHECK(length < 120);
    memcpy(block, text, length);
    block[length] = 0x80;
    block[size - 2] = (unsigned char)(length * 8 >> 8);
    block[size - 1] = (unsigned char)(length * 8);
    for (size_t start = 0; start < size; start += 64) {
        uint32_t w[80], v[5];
        for (int i = 0; i < 16; i++) {
            const unsigned char *word = block + start + i * 4;
            w[i] = (uint32_t)word[0] << 24 | (uint32_t)word[1] << 16 | (uint32_t)word[2] << 8 | word[3];
        }
#define ROTATED(x, n) ((x) << (n) | (x) >> (32 - (n)))
        for (int i = 16; i < 80; i++)
            w[i] = ROTATED(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20   ? ((v[1] & v[2]) | (~v[1] & v[3])) + 0x5A827999
                         : i < 40 ? (v[1] ^ v[2] ^ v[3]) + 0x6ED9EBA1
                         : i < 60 ? ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) + 0x8F1BBCDC
                                  : (v[1] ^ v[2] ^ v[3]) + 0xCA62C1D6;
            uint32_t next = ROTATED(v[0], 5) + f + v[4] + w[i];
            v[4] = v[3], v[3] = v[2], v[2] = ROTATED(v[1], 30), v[1] = v[0], v[0] = next;
        }
#undef ROTATED
        for (int i = 0; i < 5; i++)
            h[i] += v[i];
    }
    for (int i = 0; i < 20; i++)
        digest[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
}

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
static inline const char *raw_accept_key(const char *key)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static __thread char accept[29];
    char text[120];
    unsigned char digest[21] = {0};
    CHECK(strlen(key) == 24);
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    raw_sha1(text, digest);
    for (int i = 0; i < 7; i++) {
        uint32_t bits = (uint32_t)digest[i * 3] << 16 | (uint32_t)digest[i * 3 + 1] << 8 | digest[i * 3 + 2];
        for (int j = 0; j < 4; j++)
            accept[i * 4 + j] = letters[bits >> (18 - j * 6) & 63];
    }
    accept[27] = '=';
    accept[28] = 0;
    return accept;
}

/* As a server: reads the request and answers with 101. `headers` are lines that end with CR LF. Returns the request. */
static inline const char *raw_answer(int fd, const char *headers)
{
    const char *head = raw_head(fd);
    const char *key = raw_header(head, "Sec-WebSocket-Key");
    char answer[2048];
    CHECK(key != NULL);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                          raw_accept_key(key), headers);
    CHECK(length < (int)sizeof answer && raw_write(fd, answer, (size_t)length));
    return head;
}

/* As a client: asks for the upgrade and returns the head of the answer. */
static inline const char *raw_ask(int fd, const char *path, const char *headers)
{
    char request[2048];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                          path, headers);
    CHECK(length < (int)sizeof request && raw_write(fd, request, (size_t)length));
    return raw_head(fd);
}

/* The HTTP status of the head of an answer; 0 if there was none. */
static inline int raw_status(const char *head)
{
    return strncmp(head, "HTTP/1.1 ", 9) == 0 ? atoi(head + 9) : 0;
}

/* A client of the port that has been let in. */
static inline int raw_client(int port)
{
    int fd = raw_connect(port);
    CHECK_INT(raw_status(raw_ask(fd, "/", "")), 101);
    return fd;
}

/* Sends one frame; `first` is FIN, RSV and opcode. A client's frames must be masked. */
static inline bool raw_frame(int fd, int first, bool masked, const void *payload, size_t length)
{
    static const unsigned char key[4] = {0x37, 0xFA, 0x21, 0x3D};
    unsigned char *frame = malloc(length + 14);
    size_t at = 2;
    frame[0] = (unsigned char)first;
    frame[1] = (unsigned char)((masked ? 0x80 : 0) | (length < 126 ? (int)length : length < 65536 ? 126 : 127));
    int more = length < 126 ? 0 : length < 65536 ? 2 : 8;
    for (int i = more - 1; i >= 0; i--)
        frame[at++] = (unsigned char)((uint64_t)length >> (i * 8));
    if (masked) {
        memcpy(frame + at, key, 4);
        at += 4;
    }
    for (size_t i = 0; i < length; i++)
        frame[at + i] = (unsigned char)(((const unsigned char *)payload)[i] ^ (masked ? key[i % 4] : 0));
    bool written = raw_write(fd, frame, at + length);
    free(frame);
    return written;
}

/* Reads one frame. */
static inline struct frame raw_receive(int fd)
{
    struct frame frame = {.first = -1};
    unsigned char head[2], more[8] = {0};
    if (!raw_read(fd, head, 2))
        return frame;
    frame.masked = (head[1] & 0x80) != 0;
    frame.length = head[1] & 0x7F;
    if (frame.length >= 126) {
        int size = frame.length == 126 ? 2 : 8;
        frame.length = 0;
        CHECK(raw_read(fd, more, (size_t)size));
        for (int i = 0; i < size; i++)
            frame.length = frame.length << 8 | more[i];
    }
    if (frame.masked)
        CHECK(raw_read(fd, frame.key, 4));
    frame.payload = malloc(frame.length + 1);
    CHECK(raw_read(fd, frame.payload, frame.length));
    for (uint64_t i = 0; i < frame.length; i++)
        frame.payload[i] ^= frame.key[i % 4];
    frame.payload[frame.length] = 0;
    frame.first = head[0];
    return frame;
}

/* Reads frames, and drops them, up to the close frame; returns its code, 0 if it has none, -1 if the end came first. */
static inline int raw_close_code(int fd)
{
    for (;;) {
        struct frame frame = raw_receive(fd);
        if (frame.first < 0)
            return -1;
        int code = frame.length < 2 ? 0 : frame.payload[0] << 8 | frame.payload[1];
        free(frame.payload);
        if ((frame.first & 0x0F) == 8)
            return code;
    }
}

/* Waits until the peer has ended the connection. */
static inline void raw_end(int fd)
{
    char byte;
    while (raw_read(fd, &byte, 1))
        continue;
    close(fd);
}

#endif
