#define _GNU_SOURCE
#include "minimal_relay.h"
#include "udp_peer.h"
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { header_bytes = 4, events_at_once = 64, buffer_bytes = 1 << 20 };

/// Where its datagrams begin with a zero byte, ChannelData does not.
typedef struct join_request {
    uint16_t zero, peer_ports[2];
} join_request;

typedef struct allocation {
    int socket;
    struct sockaddr_in client, peers[2];
} allocation;

typedef struct relay {
    int epoll, listener;
    /// By the port of the client.
    allocation *by_port[65536];
    uint8_t bytes[65536 + header_bytes];
} relay;

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void join(relay *relay, const struct sockaddr_in *client, const join_request *request) {
    allocation *new = calloc(1, sizeof *new);
    new->socket = skerry_udp_bind(buffer_bytes);
    new->client = *client;
    for (int side = 0; side < 2; side++) new->peers[side] = loopback(request->peer_ports[side]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = new};
    epoll_ctl(relay->epoll, EPOLL_CTL_ADD, new->socket, &event);
    relay->by_port[ntohs(client->sin_port)] = new;
    uint16_t port = skerry_udp_port(new->socket);
    sendto(relay->listener, &port, sizeof port, 0, (const struct sockaddr *)client, sizeof *client);
}

/// Returns whether there was a packet.
static int relay_to_peer(relay *relay) {
    struct sockaddr_in client;
    socklen_t size = sizeof client;
    ssize_t count = recvfrom(
        relay->listener, relay->bytes, sizeof relay->bytes, MSG_DONTWAIT, (struct sockaddr *)&client, &size);
    if (count < 0) return 0;
    if (relay->bytes[0] == 0) {
        join(relay, &client, (const join_request *)relay->bytes);
        return 1;
    }
    const allocation *from = relay->by_port[ntohs(client.sin_port)];
    const struct sockaddr_in *peer = &from->peers[relay->bytes[1] & 1];
    size_t payload = relay->bytes[2] << 8 | relay->bytes[3];
    sendto(from->socket, relay->bytes + header_bytes, payload, 0, (const struct sockaddr *)peer, sizeof *peer);
    return 1;
}

static int relay_to_client(relay *relay, const allocation *to) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    ssize_t count = recvfrom(
        to->socket, relay->bytes + header_bytes, sizeof relay->bytes - header_bytes, MSG_DONTWAIT,
        (struct sockaddr *)&peer, &size);
    if (count < 0) return 0;
    relay->bytes[0] = 0x40;
    relay->bytes[1] = peer.sin_port == to->peers[1].sin_port;
    relay->bytes[2] = count >> 8;
    relay->bytes[3] = count & 255;
    sendto(relay->listener, relay->bytes, count + header_bytes, 0, (const struct sockaddr *)&to->client,
           sizeof to->client);
    return 1;
}

void skerry_minimal_relay(int listener) {
    static relay relay;
    relay.epoll = epoll_create1(EPOLL_CLOEXEC);
    relay.listener = listener;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(relay.epoll, EPOLL_CTL_ADD, listener, &event) != 0) return;
    for (;;) {
        struct epoll_event events[events_at_once];
        int ready = epoll_wait(relay.epoll, events, events_at_once, -1);
        for (int i = 0; i < ready; i++) {
            const allocation *to = events[i].data.ptr;
            // Where several have packets, each probably has one: looking for a second costs a call.
            int most = !to || ready == 1 ? events_at_once : 1;
            while (most-- > 0 && (to ? relay_to_client(&relay, to) : relay_to_peer(&relay))) continue;
        }
    }
}

uint16_t skerry_minimal_relay_join(int client, const uint16_t peer_ports[2]) {
    join_request request = {.zero = 0, .peer_ports = {peer_ports[0], peer_ports[1]}};
    send(client, &request, sizeof request, 0);
    struct pollfd waiting = {.fd = client, .events = POLLIN};
    uint16_t port = 0;
    if (poll(&waiting, 1, 1000) != 1 || recv(client, &port, sizeof port, 0) != sizeof port) return 0;
    return port;
}
