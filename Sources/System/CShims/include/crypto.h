#pragma once
#include <stddef.h>
#include <stdint.h>

/// SHA-256 with a state that can be saved: the fields of OpenSSL's SHA256_CTX, whose low-level calls are deprecated.
typedef struct skerry_sha256 {
    uint32_t h[8];
    uint32_t length_low, length_high;
    uint8_t buffer[64];
    uint32_t buffered;
} skerry_sha256;

void skerry_sha256_init(skerry_sha256 *state);
void skerry_sha256_update(skerry_sha256 *state, const void *bytes, size_t count);
/// Works on a copy: the state may be updated further.
void skerry_sha256_final(const skerry_sha256 *state, uint8_t digest[32]);

/// HMAC (RFC 2104) with SHA-1 or SHA-256 over two pieces, on the stack alone: OpenSSL's own allocates and looks the hash up by name.
void skerry_hmac_sha1(
    const void *key, size_t key_count, const void *first, size_t first_count, const void *second, size_t second_count,
    uint8_t code[20]);
void skerry_hmac_sha256(
    const void *key, size_t key_count, const void *first, size_t first_count, const void *second, size_t second_count,
    uint8_t code[32]);
