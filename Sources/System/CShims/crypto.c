#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto.h"
#include <openssl/sha.h>
#include <string.h>

static void load(SHA256_CTX *context, const skerry_sha256 *state) {
    memset(context, 0, sizeof *context);
    memcpy(context->h, state->h, sizeof context->h);
    memcpy(context->data, state->buffer, sizeof state->buffer);
    context->Nl = state->length_low;
    context->Nh = state->length_high;
    context->num = state->buffered;
    context->md_len = SHA256_DIGEST_LENGTH;
}

static void store(skerry_sha256 *state, const SHA256_CTX *context) {
    memcpy(state->h, context->h, sizeof state->h);
    memcpy(state->buffer, context->data, sizeof state->buffer);
    state->length_low = context->Nl;
    state->length_high = context->Nh;
    state->buffered = context->num;
}

void skerry_sha256_init(skerry_sha256 *state) {
    SHA256_CTX context;
    memset(&context, 0, sizeof context);
    SHA256_Init(&context);
    store(state, &context);
}

void skerry_sha256_update(skerry_sha256 *state, const void *bytes, size_t count) {
    SHA256_CTX context;
    load(&context, state);
    SHA256_Update(&context, bytes, count);
    store(state, &context);
}

void skerry_sha256_final(const skerry_sha256 *state, uint8_t digest[32]) {
    SHA256_CTX context;
    load(&context, state);
    SHA256_Final(digest, &context);
}
