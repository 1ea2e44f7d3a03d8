#pragma once
#include <stddef.h>
#include <stdint.h>

/// Which connections are made, all from one thread that waits for many at once. TLS is 1.3, and certificates are not checked.
typedef enum skerry_client_kind {
    /// One request, GET /16k, and its answer over HTTP/1.1.
    skerry_client_http,
    /// A WebSocket of /echo, and one message there and back.
    skerry_client_websocket,
} skerry_client_kind;

typedef struct skerry_connect_tally {
    /// Done as they should be, and not.
    uint64_t done, failed;
} skerry_connect_tally;

/// Opens connections, brings each to the point where it is idle, and leaves them open for the life of the process.
/// They come from 127.0.0.2 and the addresses behind it, 10,000 from each.
void skerry_hold(uint16_t port, int is_tls, skerry_client_kind kind, int count, skerry_connect_tally *tally);

/// TLS handshakes without a request, in_flight at a time, one after the other for the duration: each connection is closed
/// in order by both sides. is_resumed: all of them but the first resume its session.
void skerry_handshakes(uint16_t port, int is_resumed, int in_flight, int64_t duration_ns, skerry_connect_tally *tally);

/// Opens WebSockets and sends a binary message over each, the next one when it has come back, for the duration.
/// payload_bytes: at most 1,024.
void skerry_echo(uint16_t port, int connections, int payload_bytes, int64_t duration_ns, skerry_connect_tally *tally);

/// Sends requests evenly spaced over connections, one after the other, while as many others as slow says send a byte of a
/// request a second each, one of them after the other, too. The thread never sleeps.
/// delays: of each answer, from when its request was due until all of it was there; in nanoseconds. Returns their number.
size_t skerry_paced_requests(uint16_t port, int slow, int connections, int per_second, int64_t duration_ns,
                             skerry_connect_tally *tally, uint32_t *delays, size_t capacity);
