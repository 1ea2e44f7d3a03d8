#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto.h"
#include <openssl/crypto.h>
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

enum { hash_block = 64 };

void skerry_hmac_sha1(
    const void *key, size_t key_count, const void *first, size_t first_count, const void *second, size_t second_count,
    uint8_t code[20]) {
    uint8_t block[hash_block] = {0};
    SHA_CTX context;
    if (key_count > hash_block) SHA1(key, key_count, block);
    else if (key_count > 0) memcpy(block, key, key_count);
    for (int i = 0; i < hash_block; i++) block[i] ^= 0x36;
    SHA1_Init(&context);
    SHA1_Update(&context, block, hash_block);
    if (first_count > 0) SHA1_Update(&context, first, first_count);
    if (second_count > 0) SHA1_Update(&context, second, second_count);
    SHA1_Final(code, &context);
    for (int i = 0; i < hash_block; i++) block[i] ^= 0x36 ^ 0x5C;
    SHA1_Init(&context);
    SHA1_Update(&context, block, hash_block);
    SHA1_Update(&context, code, SHA_DIGEST_LENGTH);
    SHA1_Final(code, &context);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(&context, sizeof context);
}

void skerry_hmac_sha256(
    const void *key, size_t key_count, const void *first, size_t first_count, const void *second, size_t second_count,
    uint8_t code[32]) {
    uint8_t block[hash_block] = {0};
    SHA256_CTX context;
    if (key_count > hash_block) SHA256(key, key_count, block);
    else if (key_count > 0) memcpy(block, key, key_count);
    for (int i = 0; i < hash_block; i++) block[i] ^= 0x36;
    SHA256_Init(&context);
    SHA256_Update(&context, block, hash_block);
    if (first_count > 0) SHA256_Update(&context, first, first_count);
    if (second_count > 0) SHA256_Update(&context, second, second_count);
    SHA256_Final(code, &context);
    for (int i = 0; i < hash_block; i++) block[i] ^= 0x36 ^ 0x5C;
    SHA256_Init(&context);
    SHA256_Update(&context, block, hash_block);
    SHA256_Update(&context, code, SHA256_DIGEST_LENGTH);
    SHA256_Final(code, &context);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(&context, sizeof context);
}
