// Packets in bursts, as many as the relay takes. The thread never sleeps, so that no server pays for waking it.
#define _GNU_SOURCE
#include "packets.h"
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif

enum { max_burst = 64, max_window = 1024, merged_bytes = 65536 };

typedef struct state {
    const skerry_load *load;
    skerry_tally *tally;
    /// Received without merging: a batch.
    struct mmsghdr headers[max_burst];
    struct iovec pieces[max_burst];
    uint8_t bytes[max_burst][max_packet];
    /// Received merged: one message.
    uint8_t merged[merged_bytes];
    /// One packet, and a burst of it back to back.
    uint8_t outgoing[max_burst * max_packet];
    /// By the side of the peer: what was given up may still come, while the other side's turn is.
    uint8_t expected[2][max_packet];
    struct mmsghdr out_headers[max_burst];
    struct iovec out_pieces[max_burst];
} state;

static void prepare(struct mmsghdr *headers, struct iovec *pieces) {
    for (int i = 0; i < max_burst; i++)
        headers[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &pieces[i], .msg_iovlen = 1}};
}

static int sender(const skerry_flow *flow, int side, const skerry_load *load) {
    return load->to_client ? flow->peers[side] : flow->client;
}

static int receiver(const skerry_flow *flow, int side, const skerry_load *load) {
    return load->to_client ? flow->client : flow->peers[side];
}

/// Returns how many the kernel has taken.
static int send_burst(state *state, const skerry_flow *flow, int side) {
    const skerry_load *load = state->load;
    int size = write_packet(state->outgoing, flow, side, !load->to_client, load->payload_bytes);
    int socket = sender(flow, side, load);
    int count = 0;
    if (load->burst == 1) {
        count = send(socket, state->outgoing, size, MSG_DONTWAIT) == size;
    } else if (load->is_merged) {
        for (int i = 1; i < load->burst; i++) memcpy(state->outgoing + i * size, state->outgoing, size);
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
        struct iovec piece = {.iov_base = state->outgoing, .iov_len = (size_t)size * load->burst};
        struct msghdr header = {
            .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *segment = CMSG_FIRSTHDR(&header);
        segment->cmsg_level = SOL_UDP;
        segment->cmsg_type = UDP_SEGMENT;
        segment->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t bytes = size;
        memcpy(CMSG_DATA(segment), &bytes, sizeof bytes);
        if (sendmsg(socket, &header, MSG_DONTWAIT) > 0) count = load->burst;
    } else {
        for (int i = 0; i < load->burst; i++)
            state->out_pieces[i] = (struct iovec){.iov_base = state->outgoing, .iov_len = size};
        int taken = sendmmsg(socket, state->out_headers, load->burst, MSG_DONTWAIT);
        if (taken > 0) count = taken;
    }
    state->tally->sent += count;
    return count;
}

static void check(state *state, const uint8_t *bytes, int count, int expected) {
    state->tally->received++;
    if (count == expected && memcmp(bytes, state->expected[0], expected) == 0) return;
    if (count != expected || memcmp(bytes, state->expected[1], expected) != 0) state->tally->damaged++;
}

/// Takes what is there, which is to be as state->expected. Returns how many packets there were.
static int take(state *state, int socket, int expected) {
    if (!state->load->is_merged) {
        int count = recvmmsg(socket, state->headers, max_burst, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++) check(state, state->bytes[i], state->headers[i].msg_len, expected);
        return count < 0 ? 0 : count;
    }
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec piece = {.iov_base = state->merged, .iov_len = sizeof state->merged};
    struct msghdr header = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int count = (int)recvmsg(socket, &header, MSG_DONTWAIT);
    if (count < 0) return 0;
    int segment = count, packets = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) memcpy(&segment, CMSG_DATA(c), sizeof segment);
    for (int offset = 0; offset < count; offset += segment, packets++)
        check(state, state->merged + offset, count - offset < segment ? count - offset : segment, expected);
    return packets;
}

/// Returns the size of what is expected of a flow; the content is the same for all of them.
static int expect(state *state, const skerry_flow *flow) {
    for (int side = 0; side < 2; side++)
        write_packet(state->expected[side], flow, side, state->load->to_client, state->load->payload_bytes);
    return write_packet(state->expected[0], flow, 0, state->load->to_client, state->load->payload_bytes);
}

/// Waits a while for what is late, so that it counts, and is not taken for the next load's.
static void take_late(state *state, const skerry_flow *flows, int flow_count, int expected) {
    int64_t end = now(CLOCK_MONOTONIC) + 200000000;
    while (state->tally->received < state->tally->sent && now(CLOCK_MONOTONIC) < end)
        for (int i = 0; i < flow_count; i++)
            for (int side = 0; side < 2; side++)
                take(state, receiver(&flows[i], side, state->load), expected);
}

static void set_merging(const skerry_flow *flows, int flow_count, const skerry_load *load) {
    for (int i = 0; i < flow_count; i++)
        for (int side = 0; side < 2; side++)
            setsockopt(receiver(&flows[i], side, load), SOL_UDP, UDP_GRO, &load->is_merged, sizeof load->is_merged);
}

/// The bursts of a window, from the first flow on, until they have arrived or do not come.
static void run_window(state *state, const skerry_flow *flows, int flow_count, int side, int expected) {
    static int sent[max_window];
    for (int i = 0; i < flow_count; i++) sent[i] = send_burst(state, &flows[i], side);
    int64_t progress = now(CLOCK_MONOTONIC);
    for (int i = 0; i < flow_count; i++) {
        for (int missing = sent[i]; missing > 0;) {
            int count = take(state, receiver(&flows[i], side, state->load), expected);
            missing -= count;
            int64_t time = now(CLOCK_MONOTONIC);
            if (count > 0) {
                progress = time;
            } else if (time - progress > 50000000) {
                break;  // those behind it have had their time too, and are looked at once each
            }
        }
    }
}

void skerry_load_bursts(const skerry_flow *flows, int flow_count, const skerry_load *load, int64_t duration_ns,
                        skerry_tally *tally) {
    static state state;
    skerry_load bounded = *load;
    if (bounded.burst > max_burst) bounded.burst = max_burst;
    if (bounded.window > flow_count) bounded.window = flow_count;
    if (bounded.window > max_window) bounded.window = max_window;
    *tally = (skerry_tally){0};
    state.load = &bounded;
    state.tally = tally;
    for (int i = 0; i < max_burst; i++)
        state.pieces[i] = (struct iovec){.iov_base = state.bytes[i], .iov_len = max_packet};
    prepare(state.headers, state.pieces);
    prepare(state.out_headers, state.out_pieces);
    set_merging(flows, flow_count, &bounded);
    discard_waiting(flows, flow_count);
    int expected = expect(&state, &flows[0]);
    int64_t end = now(CLOCK_MONOTONIC) + duration_ns;
    for (int first = 0, side = 0; now(CLOCK_MONOTONIC) < end;) {
        int count = flow_count - first < bounded.window ? flow_count - first : bounded.window;
        run_window(&state, flows + first, count, side, expected);
        first += count;
        if (first == flow_count) {
            first = 0;
            side = !side;
        }
    }
    take_late(&state, flows, flow_count, expected);
    bounded.is_merged = 0;
    set_merging(flows, flow_count, &bounded);
}
