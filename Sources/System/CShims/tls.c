#include "tls.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

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
