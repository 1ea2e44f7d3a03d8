#pragma once
#include <openssl/ssl.h>
#include <string.h>

/// OpenSSL calls that are macros.
static inline long skerry_ssl_set_server_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
static inline long skerry_bio_pending(BIO *bio) { return BIO_pending(bio); }
static inline int skerry_ctx_set_minimum_tls12(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline long skerry_ctx_set_release_buffers(SSL_CTX *context) {
    return SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
static inline EVP_PKEY *skerry_generate_p256(void) { return EVP_EC_gen("P-256"); }
static inline EVP_PKEY *skerry_generate_ed25519(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); }
static inline int skerry_bio_memory(BIO *bio, const char **bytes) { return (int)BIO_get_mem_data(bio, (char **)bytes); }
