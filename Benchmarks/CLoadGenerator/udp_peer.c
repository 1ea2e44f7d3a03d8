// What a UDP server costs that checks nothing and knows nothing but two system calls for each datagram.
#define _GNU_SOURCE
#include "udp_peer.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int skerry_udp_bind(int buffer_bytes) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    return descriptor;
}

uint16_t skerry_udp_port(int socket) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    return getsockname(socket, (struct sockaddr *)&address, &size) == 0 ? ntohs(address.sin_port) : 0;
}

int skerry_udp_connect(int socket, uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(socket, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

void skerry_udp_echo(int socket) {
    static char bytes[65536];
    struct sockaddr_in source;
    for (;;) {
        socklen_t size = sizeof source;
        ssize_t count = recvfrom(socket, bytes, sizeof bytes, 0, (struct sockaddr *)&source, &size);
        if (count < 0) return;
        sendto(socket, bytes, count, 0, (struct sockaddr *)&source, size);
    }
}

void skerry_udp_relay(int first, int second) {
    static char bytes[65536];
    int sockets[2] = {first, second};
    struct sockaddr_in heard[2] = {{0}, {0}};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int side = 0; side < 2; side++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = side};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[side], &event) != 0) return;
    }
    for (;;) {
        struct epoll_event events[2];
        int ready = epoll_wait(epoll, events, 2, -1);
        if (ready < 0 && errno != EINTR) return;
        for (int i = 0; i < ready; i++) {
            int side = events[i].data.u32;
            for (;;) {
                socklen_t size = sizeof heard[side];
                ssize_t count = recvfrom(
                    sockets[side], bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&heard[side], &size);
                if (count < 0) break;
                const struct sockaddr_in *target = &heard[!side];
                if (target->sin_port)
                    sendto(sockets[!side], bytes, count, 0, (const struct sockaddr *)target, sizeof *target);
            }
        }
    }
}
