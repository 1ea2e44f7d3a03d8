#pragma once
#include <stddef.h>
#include <stdint.h>

/// A client and its two peers: both ends of what one allocation relays.
typedef struct skerry_flow {
    /// Connected to the server.
    int client;
    /// Connected to the relayed transport address.
    int peers[2];
    /// Each bound to a peer; 0 when the client and the peer are connected to each other, without a relay.
    uint16_t channels[2];
} skerry_flow;

typedef struct skerry_tally {
    uint64_t sent, received;
    /// Received with other bytes than were sent; in `received` too.
    uint64_t damaged;
    /// Sent more than a millisecond after their time.
    uint64_t late;
} skerry_tally;

/// A pattern of packets.
typedef struct skerry_load {
    /// Packets that a flow sends at once, at most 64: to one of its peers, the next ones to the other.
    int burst;
    /// On how many flows such a burst is on its way at a time.
    int window;
    int payload_bytes;
    /// Whether the peers send, and not the clients.
    int to_client;
    /// A burst is one message to the kernel (UDP_SEGMENT), and receivers take merged ones (UDP_GRO).
    int is_merged;
} skerry_load;

/// Sends a burst on each flow of a window, waits until all have arrived at the other end (or none for 50 ms), goes on with
/// the next flows, and so on for the duration.
void skerry_load_bursts(const skerry_flow *flows, int flow_count, const skerry_load *load, int64_t duration_ns,
                        skerry_tally *tally);

/// The clients send evenly paced, one flow after the other; the peers send every packet back.
/// delays: of each packet, one way, from before its send until the kernel queued it at the receiver; in nanoseconds.
/// Returns the number of delays.
size_t skerry_load_paced(const skerry_flow *flows, int flow_count, int payload_bytes, int packets_per_second,
                         int64_t duration_ns, skerry_tally *tally, uint32_t *delays, size_t capacity);
