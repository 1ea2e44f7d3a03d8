// Packets at an even pace, and how long each takes. The thread never sleeps, so that no server pays for waking it.
#define _GNU_SOURCE
#include "packets.h"
#include <string.h>
#include <sys/socket.h>

enum { max_in_flight = 8192, looked_at = 64 };

/// A packet that is on its way to a descriptor.
typedef struct in_flight {
    int flow, side;
    int is_client;
    int64_t since;
} in_flight;

typedef struct paced {
    const skerry_flow *flows;
    int payload_bytes;
    skerry_tally *tally;
    uint32_t *delays;
    size_t delay_count, capacity;
    in_flight waiting[max_in_flight];
    int waiting_count;
} paced;

/// The stamp is the first eight bytes of the payload.
static void send_stamped(paced *state, int flow_index, int side, int is_client) {
    uint8_t packet[max_packet];
    const skerry_flow *flow = &state->flows[flow_index];
    int count = write_packet(packet, flow, side, is_client, state->payload_bytes);
    int64_t stamp = now(CLOCK_REALTIME);
    memcpy(packet + count - state->payload_bytes, &stamp, sizeof stamp);
    if (send(is_client ? flow->client : flow->peers[side], packet, count, MSG_DONTWAIT) != count) return;
    state->tally->sent++;
    if (state->waiting_count < max_in_flight)
        state->waiting[state->waiting_count++] = (in_flight){flow_index, side, !is_client, now(CLOCK_MONOTONIC)};
}

/// Returns whether a packet was there.
static int receive_stamped(paced *state, int flow_index, int side, int is_client) {
    const skerry_flow *flow = &state->flows[flow_index];
    uint8_t packet[max_packet], expected[max_packet];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec piece = {.iov_base = packet, .iov_len = sizeof packet};
    struct msghdr header = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int count = (int)recvmsg(is_client ? flow->client : flow->peers[side], &header, MSG_DONTWAIT);
    if (count < 0) return 0;
    // What was given up may come in the other side's turn: only the second byte tells them apart.
    if (is_client && flow->channels[0] && packet[1] == (flow->channels[!side] & 255)) side = !side;
    int expected_bytes = write_packet(expected, flow, side, is_client, state->payload_bytes);
    int body = expected_bytes - state->payload_bytes;
    int after = body + (int)sizeof(int64_t);
    if (count != expected_bytes || memcmp(packet, expected, body) != 0 ||
        memcmp(packet + after, expected + after, count - after) != 0) {
        state->tally->damaged++;
        return 1;
    }
    state->tally->received++;
    int64_t stamp;
    memcpy(&stamp, packet + body, sizeof stamp);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec arrived;
        memcpy(&arrived, CMSG_DATA(c), sizeof arrived);
        int64_t delay = (int64_t)arrived.tv_sec * 1000000000 + arrived.tv_nsec - stamp;
        if (state->delay_count < state->capacity)
            state->delays[state->delay_count++] = delay < 0 ? 0 : delay > UINT32_MAX ? UINT32_MAX : (uint32_t)delay;
    }
    return 1;
}

/// Looks where packets are awaited, the oldest first; what came at a peer goes back.
static void receive_waiting(paced *state) {
    int kept = 0, looked = state->waiting_count < looked_at ? state->waiting_count : looked_at;
    int64_t time = now(CLOCK_MONOTONIC);
    in_flight echoes[looked_at];
    int echo_count = 0;
    for (int i = 0; i < looked; i++) {
        in_flight packet = state->waiting[i];
        if (receive_stamped(state, packet.flow, packet.side, packet.is_client)) {
            if (!packet.is_client) echoes[echo_count++] = packet;
        } else if (time - packet.since < 200000000) {
            state->waiting[kept++] = packet;
        }
    }
    memmove(&state->waiting[kept], &state->waiting[looked], (state->waiting_count - looked) * sizeof(in_flight));
    state->waiting_count += kept - looked;
    for (int i = 0; i < echo_count; i++) send_stamped(state, echoes[i].flow, echoes[i].side, 0);
}

static void set_stamps(const skerry_flow *flows, int flow_count, int on) {
    for (int i = 0; i < flow_count; i++) {
        setsockopt(flows[i].client, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        for (int side = 0; side < 2; side++)
            setsockopt(flows[i].peers[side], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    }
}

size_t skerry_load_paced(const skerry_flow *flows, int flow_count, int payload_bytes, int packets_per_second,
                         int64_t duration_ns, skerry_tally *tally, uint32_t *delays, size_t capacity) {
    static paced state;
    *tally = (skerry_tally){0};
    state = (paced){
        .flows = flows, .payload_bytes = payload_bytes, .tally = tally, .delays = delays, .capacity = capacity};
    set_stamps(flows, flow_count, 1);
    discard_waiting(flows, flow_count);
    int64_t interval = 1000000000 / packets_per_second;
    int64_t start = now(CLOCK_MONOTONIC), due = start;
    for (int flow = 0, side = 0; due < start + duration_ns;) {
        int64_t time = now(CLOCK_MONOTONIC);
        if (time >= due) {
            if (time - due > 1000000) tally->late++;
            send_stamped(&state, flow, side, 1);
            due += interval;
            if (++flow == flow_count) {
                flow = 0;
                side = !side;
            }
        }
        receive_waiting(&state);
    }
    while (state.waiting_count > 0) receive_waiting(&state);
    set_stamps(flows, flow_count, 0);
    return state.delay_count;
}
