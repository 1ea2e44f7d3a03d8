#pragma once
#include <stddef.h>
#include <stdint.h>
#include "connections.h"
#include "udp_peer.h"

/// A client and its peer, both ends of one relayed flow.
typedef struct skerry_flow {
    /// Connected to the server.
    int client;
    /// Connected to the relayed transport address.
    int peer;
    /// Bound to the peer; 0 when the two are connected to each other, without a relay.
    uint16_t channel;
} skerry_flow;

typedef struct skerry_tally {
    uint64_t sent, received;
    /// Received with other bytes than were sent.
    uint64_t damaged;
    /// Sent more than a millisecond after their time.
    uint64_t late;
} skerry_tally;

/// Sends `burst` packets on every flow, waits until all have arrived at the other end (or none for 50 ms), and so on.
/// to_client: the peers send.
void skerry_load_bursts(const skerry_flow *flows, int flow_count, int burst, int payload_bytes, int to_client,
                        int64_t duration_ns, skerry_tally *tally);

/// The clients send evenly paced, one flow after the other; the peers send every packet back.
/// delays: of each packet, one way, from before its send until the kernel queued it at the receiver; in nanoseconds.
/// Returns the number of delays.
size_t skerry_load_paced(const skerry_flow *flows, int flow_count, int payload_bytes, int packets_per_second,
                         int64_t duration_ns, skerry_tally *tally, uint32_t *delays, size_t capacity);

/// The index-th processor that this process may use, or -1.
int skerry_processor(int index);
/// Moves the calling thread, and those that it starts, to one processor. Returns 0, or errno.
int skerry_pin(int processor);
