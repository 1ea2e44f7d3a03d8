#pragma once
#include <openssl/ssl.h>
#include <string.h>

// OpenSSL calls that are macros, and walks over its typed stacks, which Swift cannot import.

static inline long skerry_ssl_set_server_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
static inline int skerry_ctx_set_minimum_tls12(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline EVP_PKEY *skerry_generate_p256(void) { return EVP_EC_gen("P-256"); }
static inline EVP_PKEY *skerry_generate_ed25519(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); }
static inline int skerry_bio_memory(BIO *bio, const char **bytes) { return (int)BIO_get_mem_data(bio, (char **)bytes); }

/// What the TLS connections of one loop share, since only one of them is worked on at a time. Nothing of it belongs to a connection
/// when its turn ends.
typedef struct {
    /// Sealed bytes that OpenSSL has not taken yet.
    const uint8_t *input;
    size_t input_count;
    /// Sealed bytes that OpenSSL has made: all records of a turn, one behind the other. From malloc.
    uint8_t *output;
    size_t output_count;
    size_t output_capacity;
    /// Whose the output is.
    const void *connection;
} skerry_tls_scratch;

/// The connection reads from the scratch's input, and writes behind its output. 0 without memory.
int skerry_ssl_use_scratch(SSL *ssl, skerry_tls_scratch *scratch);
/// Gives back what a turn with much output has left.
void skerry_tls_scratch_trim(skerry_tls_scratch *scratch);

/// Ciphers, curves and options of every context, TLS or DTLS; 1 unless OpenSSL lacks them.
int skerry_ctx_apply_policy(SSL_CTX *context);

/// Certificate with its chain, and the key; 1 if they fit together.
int skerry_ctx_use_pem(SSL_CTX *context, const char *certificate, const char *key);
/// Every certificate of the text becomes a trust anchor; 1 if there was one.
int skerry_ctx_trust_pem(SSL_CTX *context, const char *pem);
/// The name, or the IP address, that the peer's certificate must have.
int skerry_ssl_expect_name(SSL *ssl, const char *name, int is_address);
/// The index-th URI of the peer certificate's subjectAltName; its length, or 0 if there is none or it does not fit.
int skerry_ssl_peer_uri(SSL *ssl, int index, uint8_t *buffer, size_t capacity);

/// An extension of the client hello that is being answered (RFC 8446 section 4.2); 1 if it has it.
int skerry_ssl_hello_extension(SSL *ssl, unsigned int type, const uint8_t **bytes, size_t *count);

typedef int (*skerry_ticket_callback)(SSL *, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int seals);
/// Session tickets, sealed with the callback's keys and good for so many seconds; 1 if they can be.
int skerry_ctx_use_tickets(SSL_CTX *context, skerry_ticket_callback callback, long seconds);
/// The connection neither takes nor gives tickets.
void skerry_ssl_hide_tickets(SSL *ssl);
/// Makes ready what seals or opens a ticket (RFC 5077 section 4): AES-256-CBC with the first 32 bytes of the keys, HMAC-SHA256 with
/// the others. 1 if it could be done.
int skerry_ticket_cipher(EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, const uint8_t *keys, const uint8_t *iv, int seals);

/// The index-th DNS name of the first certificate's subjectAltName; its length, 0 if there is none, -1 without a certificate.
int skerry_certificate_dns_name(const char *pem, int index, char *buffer, size_t capacity);
/// When the first certificate ends, in seconds since 1970; -1 without a certificate.
int64_t skerry_certificate_expiry(const char *pem);
/// What kind of key the first certificate has, an EVP_PKEY number; 0 without a certificate.
int skerry_certificate_key_type(const char *pem);
