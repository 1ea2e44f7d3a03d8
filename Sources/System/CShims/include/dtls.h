#pragma once
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

/// What joins one SSL to its datagrams: one that has just come in, and where those that go out are handed.
typedef struct skerry_dtls_link {
    const uint8_t *input;
    /// 0 when there is none, or it has been read.
    size_t input_count;
    /// Called once for each datagram to send, during calls into the SSL.
    void (*output)(void *context, const uint8_t *bytes, size_t count);
    void *context;
    /// Bytes that a datagram may carry.
    int mtu;
    /// The cookies that the peer may show (RFC 6347 section 4.2.1): the present one, which is also handed out, and the one before.
    uint8_t cookie[32], previous_cookie[32];
    /// The first wait for an answer to a flight; it doubles from there.
    uint32_t first_timeout_us;
} skerry_dtls_link;

/// DTLS 1.2 alone, with the ciphers of skerry_ctx_apply_policy, and cookies; 1 if OpenSSL knows it all. The context's method must be DTLS's. A
/// server's asks no client for a certificate.
int skerry_dtls_ctx_setup(SSL_CTX *context, int is_server);
/// Joins an SSL to its link, which must outlive it; 1 if there was memory.
int skerry_dtls_attach(SSL *ssl, skerry_dtls_link *link);
/// DTLSv1_listen without an address: above 0 when the datagram is a ClientHello with a good cookie.
int skerry_dtls_listen(SSL *ssl);
/// Microseconds until skerry_dtls_retransmit is due; negative when nothing waits for an answer.
int64_t skerry_dtls_timeout(SSL *ssl);
/// Sends the last flight again if it is due; negative when the peer has not answered too often.
int skerry_dtls_retransmit(SSL *ssl);
