#include "tls.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

static int scratch_write(BIO *bio, const char *bytes, size_t count, size_t *written) {
    skerry_tls_scratch *scratch = BIO_get_data(bio);
    size_t needed = scratch->output_count + count;
    if (needed > scratch->output_capacity) {
        size_t capacity = scratch->output_capacity ? scratch->output_capacity : 80 * 1024;
        while (capacity < needed) capacity *= 2;
        uint8_t *larger = realloc(scratch->output, capacity);
        if (!larger) return 0;
        scratch->output = larger;
        scratch->output_capacity = capacity;
    }
    memcpy(scratch->output + scratch->output_count, bytes, count);
    scratch->output_count = needed;
    *written = count;
    return 1;
}

static int scratch_read(BIO *bio, char *buffer, size_t capacity, size_t *taken) {
    skerry_tls_scratch *scratch = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (scratch->input_count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    size_t count = capacity < scratch->input_count ? capacity : scratch->input_count;
    memcpy(buffer, scratch->input, count);
    scratch->input += count;
    scratch->input_count -= count;
    *taken = count;
    return 1;
}

static long scratch_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *scratch_method;
static CRYPTO_ONCE scratch_method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_scratch_method(void) {
    scratch_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "skerry scratch");
    if (!scratch_method) return;
    BIO_meth_set_write_ex(scratch_method, scratch_write);
    BIO_meth_set_read_ex(scratch_method, scratch_read);
    BIO_meth_set_ctrl(scratch_method, scratch_control);
}

int skerry_ssl_use_scratch(SSL *ssl, skerry_tls_scratch *scratch) {
    CRYPTO_THREAD_run_once(&scratch_method_once, make_scratch_method);
    BIO *bio = scratch_method ? BIO_new(scratch_method) : NULL;
    if (!bio) return 0;
    BIO_set_data(bio, scratch);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);  // which owns it from here on
    return 1;
}

void skerry_tls_scratch_trim(skerry_tls_scratch *scratch) {
    scratch->output_count = 0;
    if (scratch->output_capacity <= 256 * 1024) return;
    free(scratch->output);
    scratch->output = NULL;
    scratch->output_capacity = 0;
}

int skerry_ctx_apply_policy(SSL_CTX *context) {
    // AES-128 first: as strong as the curves; a client without AES instructions puts ChaCha20 first and gets it.
    const char *suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
    const char *ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                          "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                          "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // SSL_OP_NO_TICKET alone has TLS 1.3 send tickets for that cache.
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    return SSL_CTX_set_ciphersuites(context, suites) == 1 && SSL_CTX_set_cipher_list(context, ciphers) == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1;
}

int skerry_ctx_use_pem(SSL_CTX *context, const char *certificate, const char *key) {
    int done = 0;
    BIO *bio = BIO_new_mem_buf(certificate, -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (leaf && SSL_CTX_use_certificate(context, leaf) == 1) {
        X509 *next;
        while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) SSL_CTX_add0_chain_cert(context, next);
        ERR_clear_error();
        done = 1;
    }
    X509_free(leaf);
    BIO_free(bio);
    if (!done) return 0;
    bio = BIO_new_mem_buf(key, -1);
    EVP_PKEY *private_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    done = private_key && SSL_CTX_use_PrivateKey(context, private_key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(private_key);
    BIO_free(bio);
    return done;
}

int skerry_ctx_trust_pem(SSL_CTX *context, const char *pem) {
    int count = 0;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1) count++;
        SSL_CTX_add_client_CA(context, certificate);
        X509_free(certificate);
    }
    ERR_clear_error();
    BIO_free(bio);
    return count > 0;
}

int skerry_ssl_expect_name(SSL *ssl, const char *name, int is_address) {
    if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    return SSL_set1_host(ssl, name);
}

int skerry_ssl_peer_uri(SSL *ssl, int index, uint8_t *buffer, size_t capacity) {
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate) return 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int result = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI || index-- > 0) continue;
        size_t count = ASN1_STRING_length(name->d.uniformResourceIdentifier);
        if (count <= capacity) {
            memcpy(buffer, ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), count);
            result = (int)count;
        }
        break;
    }
    GENERAL_NAMES_free(names);
    return result;
}

int skerry_ssl_hello_extension(SSL *ssl, unsigned int type, const uint8_t **bytes, size_t *count) {
    return SSL_client_hello_get0_ext(ssl, type, bytes, count);
}

void skerry_ssl_hide_tickets(SSL *ssl) {
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
    SSL_set_num_tickets(ssl, 0);
}

int skerry_ctx_use_tickets(SSL_CTX *context, skerry_ticket_callback callback, long seconds) {
    SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(context, seconds);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callback) == 1;
}

int skerry_ticket_cipher(EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, const uint8_t *keys, const uint8_t *iv, int seals) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(keys + 32), 32),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys, iv, seals) == 1 &&
           EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static X509 *read_certificate(const char *pem) {
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

int skerry_certificate_dns_name(const char *pem, int index, char *buffer, size_t capacity) {
    X509 *certificate = read_certificate(pem);
    if (!certificate) return -1;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int result = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS || index-- > 0) continue;
        size_t count = ASN1_STRING_length(name->d.dNSName);
        if (count <= capacity) {
            memcpy(buffer, ASN1_STRING_get0_data(name->d.dNSName), count);
            result = (int)count;
        }
        break;
    }
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    return result;
}

int64_t skerry_certificate_expiry(const char *pem) {
    X509 *certificate = read_certificate(pem);
    if (!certificate) return -1;
    int64_t expiry = -1;
    struct tm end;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1) expiry = timegm(&end);
    X509_free(certificate);
    return expiry;
}

int skerry_certificate_key_type(const char *pem) {
    X509 *certificate = read_certificate(pem);
    int type = certificate ? EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)) : 0;
    X509_free(certificate);
    return type;
}
