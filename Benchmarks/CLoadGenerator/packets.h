// What the loads of a relay have in common: the bytes of a packet.
#pragma once
#include "relay_load.h"
#include <sys/socket.h>
#include <time.h>

enum { max_packet = 1500, header_bytes = 4 };

static inline int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// What one end of a flow sends or expects: the client's end has the channel's header. Returns the number of bytes.
static inline int write_packet(uint8_t *packet, const skerry_flow *flow, int side, int is_client, int payload_bytes) {
    uint16_t channel = flow->channels[side];
    int header = is_client && channel ? header_bytes : 0;
    if (header) {
        packet[0] = channel >> 8;
        packet[1] = channel & 255;
        packet[2] = payload_bytes >> 8;
        packet[3] = payload_bytes & 255;
    }
    for (int i = 0; i < payload_bytes; i++) packet[header + i] = (uint8_t)(i * 7 + 1);
    return header + payload_bytes;
}

/// Takes what has come too late for an earlier load.
static inline void discard_waiting(const skerry_flow *flows, int flow_count) {
    for (int i = 0; i < flow_count; i++) {
        uint8_t byte;
        int sockets[3] = {flows[i].client, flows[i].peers[0], flows[i].peers[1]};
        for (int j = 0; j < 3; j++)
            while (recv(sockets[j], &byte, 1, MSG_DONTWAIT) >= 0) continue;
    }
}
