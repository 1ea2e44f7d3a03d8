#include "dtls.h"
#include "tls.h"
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/time.h>

// A BIO that keeps the bounds of datagrams: a read takes one, a write makes one.

static int link_read(BIO *bio, char *bytes, int capacity) {
    skerry_dtls_link *link = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (link->input_count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t count = link->input_count < (size_t)capacity ? link->input_count : (size_t)capacity;
    memcpy(bytes, link->input, count);
    link->input_count = 0;
    return (int)count;
}

static int link_write(BIO *bio, const char *bytes, int count) {
    skerry_dtls_link *link = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    // What the network does not take is lost as any datagram may be.
    link->output(link->context, (const uint8_t *)bytes, (size_t)count);
    return count;
}

static long link_control(BIO *bio, int command, long number, void *pointer) {
    skerry_dtls_link *link = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU: return link->mtu;
    default: return 0;
    }
}

static BIO_METHOD *method;

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagram");
    if (!method) return;
    BIO_meth_set_read(method, link_read);
    BIO_meth_set_write(method, link_write);
    BIO_meth_set_ctrl(method, link_control);
}

static skerry_dtls_link *link_of(SSL *ssl) { return SSL_get_app_data(ssl); }

static int give_cookie(SSL *ssl, unsigned char *cookie, unsigned int *count) {
    memcpy(cookie, link_of(ssl)->cookie, 32);
    *count = 32;
    return 1;
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, unsigned int count) {
    skerry_dtls_link *link = link_of(ssl);
    if (count != 32) return 0;
    int present = CRYPTO_memcmp(cookie, link->cookie, 32);
    int previous = CRYPTO_memcmp(cookie, link->previous_cookie, 32);
    return (present == 0) | (previous == 0);
}

static unsigned int next_timeout(SSL *ssl, unsigned int timeout_us) {
    if (timeout_us == 0) return link_of(ssl)->first_timeout_us;
    return timeout_us < 30000000 ? timeout_us * 2 : 60000000;
}

int skerry_dtls_ctx_setup(SSL_CTX *context, int is_server) {
    // Without tickets and kept sessions: resuming would save a client little that stays for a call.
    if (skerry_ctx_apply_policy(context) != 1) return 0;
    SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU);
    // Room is made for every message that a fragment announces, up to ten of them, before anything is known of the peer. Only
    // certificates are longer than a record, and clients are not asked for any.
    if (is_server) SSL_CTX_set_max_cert_list(context, SSL3_RT_MAX_PLAIN_LENGTH);
    SSL_CTX_set_cookie_generate_cb(context, give_cookie);
    SSL_CTX_set_cookie_verify_cb(context, check_cookie);
    return 1;
}

int skerry_dtls_attach(SSL *ssl, skerry_dtls_link *link) {
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
    if (!CRYPTO_THREAD_run_once(&once, make_method) || !method) return 0;
    BIO *bio = BIO_new(method);
    if (!bio) return 0;
    BIO_set_data(bio, link);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, link);
    DTLS_set_timer_cb(ssl, next_timeout);
    SSL_set_mtu(ssl, link->mtu);
    return 1;
}

int skerry_dtls_listen(SSL *ssl) {
    BIO_ADDR *nowhere = BIO_ADDR_new();
    if (!nowhere) return -1;
    int result = DTLSv1_listen(ssl, nowhere);
    BIO_ADDR_free(nowhere);
    return result;
}

int64_t skerry_dtls_timeout(SSL *ssl) {
    struct timeval left;
    if (!DTLSv1_get_timeout(ssl, &left)) return -1;
    return (int64_t)left.tv_sec * 1000000 + left.tv_usec;
}

int skerry_dtls_retransmit(SSL *ssl) { return (int)DTLSv1_handle_timeout(ssl); }
