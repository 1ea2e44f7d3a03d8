#pragma once
#include <stdint.h>

enum { skerry_turn_nonce_bytes = 128 };

/// A TURN client over UDP, and what it knows of its server.
typedef struct skerry_turn_client {
    /// Connected to the server.
    int socket;
    /// Of the relayed transport address; 0 until there is one.
    uint16_t relayed_port;
    uint16_t nonce_count;
    uint8_t nonce[skerry_turn_nonce_bytes];
} skerry_turn_client;

/// What the clients of a server have in common (RFC 8489 section 9.2: long-term credentials, MD5).
typedef struct skerry_turn_credentials {
    const char *username, *password;
    /// Learnt from the first 401.
    char realm[128];
    uint8_t key[16];
} skerry_turn_credentials;

typedef struct skerry_turn_tally {
    /// Clients that are through, and that were refused or not answered.
    uint64_t done, failed;
    /// Requests sent because no answer came within half a second.
    uint64_t repeated;
    /// The code of the last refusal.
    int last_error;
} skerry_turn_tally;

/// Allocates for every client, in_flight (at most 256) at a time: an Allocate without credentials, its 401, an Allocate with
/// credentials, its success. Those that have an allocation are left out.
void skerry_turn_allocate(skerry_turn_client *clients, int count, int in_flight, skerry_turn_credentials *credentials,
                          skerry_turn_tally *tally);

/// Binds a channel of every client to a peer on 127.0.0.1, in_flight at a time.
void skerry_turn_bind(skerry_turn_client *clients, const uint16_t *peer_ports, int count, uint16_t channel,
                      int in_flight, skerry_turn_credentials *credentials, skerry_turn_tally *tally);

/// Sends an Allocate without credentials for every client, in_flight at a time; done counts the 401.
void skerry_turn_challenge(skerry_turn_client *clients, int count, int in_flight, skerry_turn_tally *tally);
