/*
 * For the programs of tests/c: sockets as POSIX has them, by those of Windows, as far as these programs go. A socket's handle fits into an
 * int, of which no other descriptor is closed by them.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { SOCK_CLOEXEC = 0, SOCK_NONBLOCK = 0, MSG_NOSIGNAL = 0 };

__attribute__((constructor)) static void begin_sockets(void)
{
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
}

static inline int posix_result(int result)
{
    if (result < 0) {
        int code = WSAGetLastError();
        errno = code == WSAECONNRESET || code == WSAECONNABORTED ? ECONNRESET : code;
    }
    return result;
}

static inline int posix_socket(int family, int type, int protocol)
{
    return posix_result((int)socket(family, type, protocol));
}

static inline int posix_accept(int fd)
{
    return posix_result((int)accept((SOCKET)fd, NULL, NULL));
}

static inline int posix_close(int fd)
{
    return posix_result(closesocket((SOCKET)fd));
}

static inline int posix_setsockopt(int fd, int level, int option, const void *value, int size)
{
    DWORD ms;
    if (level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO)) {
        const struct timeval *time = value;
        ms = (DWORD)(time->tv_sec * 1000 + time->tv_usec / 1000);
        value = &ms, size = sizeof ms;
    }
    return posix_result(setsockopt((SOCKET)fd, level, option, value, size));
}

static inline ssize_t posix_send(int fd, const void *data, size_t length, int flags)
{
    return posix_result(send((SOCKET)fd, data, (int)length, flags));
}

static inline ssize_t posix_recv(int fd, void *data, size_t length, int flags)
{
    return posix_result(recv((SOCKET)fd, data, (int)length, flags));
}

/* What the library says of an error of the network: the system's words, of which there are others than the C library's. */
static inline const char *posix_strerror(int code)
{
    static char words[512];
    DWORD of_windows = code == ECONNREFUSED ? WSAECONNREFUSED : code == EADDRINUSE ? WSAEADDRINUSE : 0;
    if (of_windows == 0)
        return strerror(code);
    DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, of_windows, 0, words,
                                  sizeof words, NULL);
    while (length > 0 && (words[length - 1] == '\n' || words[length - 1] == '\r' || words[length - 1] == ' '))
        words[--length] = 0;
    return words;
}

#define socket posix_socket
#define accept4(fd, address, size, flags) posix_accept(fd)
#define close posix_close
#define setsockopt posix_setsockopt
#define send posix_send
#define recv posix_recv
#define poll(polled, count, ms) WSAPoll(polled, (ULONG)(count), ms)
#define strerror posix_strerror

#endif
