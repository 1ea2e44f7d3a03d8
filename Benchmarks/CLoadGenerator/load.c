// The packets of a load test, without any work that a relay's figures would have to share: the thread never sleeps, so
// that no server pays for waking it.
#define _GNU_SOURCE
#include "CLoadGenerator.h"
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { max_burst = 64, max_packet = 1500, header_bytes = 4, max_in_flight = 8192, looked_at = 64 };

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// What one end of a flow sends or expects: the client's end has the channel's header.
static int write_packet(uint8_t *packet, const skerry_flow *flow, int is_client, int payload_bytes) {
    int header = is_client && flow->channel ? header_bytes : 0;
    if (header) {
        packet[0] = flow->channel >> 8;
        packet[1] = flow->channel & 255;
        packet[2] = payload_bytes >> 8;
        packet[3] = payload_bytes & 255;
    }
    for (int i = 0; i < payload_bytes; i++) packet[header + i] = (uint8_t)(i * 7 + 1);
    return header + payload_bytes;
}

typedef struct batch {
    struct mmsghdr headers[max_burst];
    struct iovec pieces[max_burst];
    uint8_t bytes[max_burst][max_packet];
} batch;

static void prepare(batch *batch, const uint8_t *shared, int count) {
    memset(batch->headers, 0, sizeof batch->headers);
    for (int i = 0; i < max_burst; i++) {
        batch->pieces[i] = (struct iovec){.iov_base = shared ? (void *)shared : batch->bytes[i], .iov_len = count};
        batch->headers[i].msg_hdr.msg_iov = &batch->pieces[i];
        batch->headers[i].msg_hdr.msg_iovlen = 1;
    }
}

/// Takes what is there, at most max_burst.
static int take(int descriptor, batch *into, const uint8_t *expected, int expected_bytes, skerry_tally *tally) {
    int count = recvmmsg(descriptor, into->headers, max_burst, MSG_DONTWAIT, NULL);
    if (count <= 0) return 0;
    for (int i = 0; i < count; i++) {
        int is_whole = (int)into->headers[i].msg_len == expected_bytes;
        if (!is_whole || memcmp(into->bytes[i], expected, expected_bytes) != 0) tally->damaged++;
    }
    tally->received += count;
    return count;
}

/// Waits a while for what is late, so that it counts, and is not taken for the next load's.
static void take_late(const skerry_flow *flows, int flow_count, int to_client, batch *into, int payload_bytes,
                      skerry_tally *tally) {
    uint8_t expected[max_packet];
    int64_t end = now(CLOCK_MONOTONIC) + 200000000;
    while (tally->received < tally->sent && now(CLOCK_MONOTONIC) < end)
        for (int i = 0; i < flow_count; i++) {
            int expected_bytes = write_packet(expected, &flows[i], to_client, payload_bytes);
            take(to_client ? flows[i].client : flows[i].peer, into, expected, expected_bytes, tally);
        }
}

void skerry_load_bursts(const skerry_flow *flows, int flow_count, int burst, int payload_bytes, int to_client,
                        int64_t duration_ns, skerry_tally *tally) {
    static batch outgoing, incoming;
    static uint8_t sent[max_packet], expected[max_packet];
    *tally = (skerry_tally){0};
    if (burst > max_burst) burst = max_burst;
    int sent_bytes = 0, expected_bytes = 0;
    prepare(&incoming, NULL, max_packet);
    int64_t end = now(CLOCK_MONOTONIC) + duration_ns;
    while (now(CLOCK_MONOTONIC) < end) {
        int is_stuck = 0;
        for (int i = 0; i < flow_count; i++) {
            sent_bytes = write_packet(sent, &flows[i], !to_client, payload_bytes);
            if (burst == 1) {
                if (send(to_client ? flows[i].peer : flows[i].client, sent, sent_bytes, MSG_DONTWAIT) > 0) tally->sent++;
                continue;
            }
            prepare(&outgoing, sent, sent_bytes);
            int count = sendmmsg(to_client ? flows[i].peer : flows[i].client, outgoing.headers, burst, MSG_DONTWAIT);
            if (count > 0) tally->sent += count;
        }
        for (int i = 0; i < flow_count; i++) {
            expected_bytes = write_packet(expected, &flows[i], to_client, payload_bytes);
            int64_t progress = now(CLOCK_MONOTONIC);
            for (int missing = burst; missing > 0;) {
                int count =
                    take(to_client ? flows[i].client : flows[i].peer, &incoming, expected, expected_bytes, tally);
                missing -= count;
                if (count > 0) {
                    progress = now(CLOCK_MONOTONIC);
                } else if (is_stuck || now(CLOCK_MONOTONIC) - progress > 50000000) {
                    is_stuck = 1;  // the others have had their time too
                    break;
                }
            }
        }
    }
    take_late(flows, flow_count, to_client, &incoming, payload_bytes, tally);
}

/// A packet that is on its way to a descriptor.
typedef struct in_flight {
    int flow;
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
static void send_stamped(paced *state, int flow_index, int is_client) {
    uint8_t packet[max_packet];
    const skerry_flow *flow = &state->flows[flow_index];
    int count = write_packet(packet, flow, is_client, state->payload_bytes);
    int64_t stamp = now(CLOCK_REALTIME);
    memcpy(packet + count - state->payload_bytes, &stamp, sizeof stamp);
    if (send(is_client ? flow->client : flow->peer, packet, count, MSG_DONTWAIT) != count) return;
    state->tally->sent++;
    if (state->waiting_count < max_in_flight)
        state->waiting[state->waiting_count++] = (in_flight){flow_index, !is_client, now(CLOCK_MONOTONIC)};
}

/// Returns whether a packet was there.
static int receive_stamped(paced *state, int flow_index, int is_client) {
    const skerry_flow *flow = &state->flows[flow_index];
    uint8_t packet[max_packet], expected[max_packet];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec piece = {.iov_base = packet, .iov_len = sizeof packet};
    struct msghdr header = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int count = (int)recvmsg(is_client ? flow->client : flow->peer, &header, MSG_DONTWAIT);
    if (count < 0) return 0;
    int expected_bytes = write_packet(expected, flow, is_client, state->payload_bytes);
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
        if (receive_stamped(state, packet.flow, packet.is_client)) {
            if (!packet.is_client) echoes[echo_count++] = packet;
        } else if (time - packet.since < 200000000) {
            state->waiting[kept++] = packet;
        }
    }
    memmove(&state->waiting[kept], &state->waiting[looked], (state->waiting_count - looked) * sizeof(in_flight));
    state->waiting_count += kept - looked;
    for (int i = 0; i < echo_count; i++) send_stamped(state, echoes[i].flow, 0);
}

static void set_stamps(const skerry_flow *flows, int flow_count, int on) {
    for (int i = 0; i < flow_count; i++) {
        setsockopt(flows[i].client, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        setsockopt(flows[i].peer, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    }
}

size_t skerry_load_paced(const skerry_flow *flows, int flow_count, int payload_bytes, int packets_per_second,
                         int64_t duration_ns, skerry_tally *tally, uint32_t *delays, size_t capacity) {
    static paced state;
    *tally = (skerry_tally){0};
    state = (paced){
        .flows = flows, .payload_bytes = payload_bytes, .tally = tally, .delays = delays, .capacity = capacity};
    set_stamps(flows, flow_count, 1);
    int64_t interval = 1000000000 / packets_per_second;
    int64_t start = now(CLOCK_MONOTONIC), due = start;
    for (int flow = 0; due < start + duration_ns;) {
        int64_t time = now(CLOCK_MONOTONIC);
        if (time >= due) {
            if (time - due > 1000000) tally->late++;
            send_stamped(&state, flow, 1);
            flow = (flow + 1) % flow_count;
            due += interval;
        }
        receive_waiting(&state);
    }
    while (state.waiting_count > 0) receive_waiting(&state);
    set_stamps(flows, flow_count, 0);
    return state.delay_count;
}

int skerry_processor(int index) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return -1;
    for (int processor = 0; processor < CPU_SETSIZE; processor++)
        if (CPU_ISSET(processor, &set) && index-- == 0) return processor;
    return -1;
}

int skerry_pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return sched_setaffinity(0, sizeof set, &set) < 0 ? errno : 0;
}
