#pragma once
#include <openssl/ssl.h>
#include <string.h>

// OpenSSL calls that are macros, and walks over its typed stacks, which Swift cannot import.

static inline long skerry_ssl_set_server_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
static inline long skerry_bio_pending(BIO *bio) { return BIO_pending(bio); }
static inline int skerry_ctx_set_minimum_tls12(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline long skerry_ctx_set_release_buffers(SSL_CTX *context) {
    return SSL_CTX_set_mode(context,
                            SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
static inline uint64_t skerry_ssl_options(void) {
    return SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
           SSL_OP_IGNORE_UNEXPECTED_EOF;
}
static inline EVP_PKEY *skerry_generate_p256(void) { return EVP_EC_gen("P-256"); }
static inline EVP_PKEY *skerry_generate_ed25519(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); }
static inline int skerry_bio_memory(BIO *bio, const char **bytes) { return (int)BIO_get_mem_data(bio, (char **)bytes); }

/// Certificate with its chain, and the key; 1 if they fit together.
int skerry_ctx_use_pem(SSL_CTX *context, const char *certificate, const char *key);
/// Every certificate of the text becomes a trust anchor; 1 if there was one.
int skerry_ctx_trust_pem(SSL_CTX *context, const char *pem);
/// The name, or the IP address, that the peer's certificate must have.
int skerry_ssl_expect_name(SSL *ssl, const char *name, int is_address);
/// The index-th URI of the peer certificate's subjectAltName; its length, or 0 if there is none or it does not fit.
int skerry_ssl_peer_uri(SSL *ssl, int index, uint8_t *buffer, size_t capacity);
