// Many TURN clients from one thread that never sleeps: as much of RFC 8489 and RFC 8656 as allocating and binding channels takes.
#define _GNU_SOURCE
#include "turn_clients.h"
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { max_message = 1024, max_in_flight = 256, repeat_ns = 500000000, max_tries = 6 };
enum { method_allocate = 3, method_bind = 9 };
enum {
    attribute_username = 0x06,
    attribute_integrity = 0x08,
    attribute_error = 0x09,
    attribute_channel = 0x0C,
    attribute_peer = 0x12,
    attribute_realm = 0x14,
    attribute_nonce = 0x15,
    attribute_relayed = 0x16,
    attribute_transport = 0x19,
};
static const uint8_t cookie[4] = {0x21, 0x12, 0xA4, 0x42};

/// What is done for one client.
typedef struct job {
    skerry_turn_client *client;
    uint16_t method, channel, peer_port;
    int tries;
    int64_t sent;
    uint8_t transaction[12];
} job;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int read16(const uint8_t *bytes) { return bytes[0] << 8 | bytes[1]; }

static void write16(uint8_t *bytes, int value) {
    bytes[0] = value >> 8 & 255;
    bytes[1] = value & 255;
}

/// Returns the message's size with it.
static int append(uint8_t *message, int count, int attribute, const void *value, int value_count) {
    write16(message + count, attribute);
    write16(message + count + 2, value_count);
    memcpy(message + count + 4, value, value_count);
    int padded = (value_count + 3) & ~3;
    memset(message + count + 4 + value_count, 0, padded - value_count);
    write16(message + 2, count + 4 + padded - 20);
    return count + 4 + padded;
}

static void start(job *job, const skerry_turn_credentials *credentials) {
    static uint64_t serial;
    uint8_t message[max_message];
    skerry_turn_client *client = job->client;
    serial++;
    memset(job->transaction, 0x5A, sizeof job->transaction);
    memcpy(job->transaction, &serial, sizeof serial);
    write16(message, job->method);
    write16(message + 2, 0);
    memcpy(message + 4, cookie, 4);
    memcpy(message + 8, job->transaction, 12);
    int count = 20;
    if (job->method == method_allocate) {
        count = append(message, count, attribute_transport, (uint8_t[]){17, 0, 0, 0}, 4);
    } else {
        uint8_t peer[8] = {0, 1, 0, 0, 127 ^ 0x21, 0x12, 0xA4, 1 ^ 0x42};
        write16(peer + 2, job->peer_port ^ 0x2112);
        count = append(message, count, attribute_channel, (uint8_t[]){job->channel >> 8, job->channel & 255, 0, 0}, 4);
        count = append(message, count, attribute_peer, peer, sizeof peer);
    }
    if (client->nonce_count) {
        count = append(message, count, attribute_username, credentials->username, strlen(credentials->username));
        count = append(message, count, attribute_realm, credentials->realm, strlen(credentials->realm));
        count = append(message, count, attribute_nonce, client->nonce, client->nonce_count);
        uint8_t code[20];
        write16(message + 2, count + 24 - 20);
        HMAC(EVP_sha1(), credentials->key, sizeof credentials->key, message, count, code, NULL);
        count = append(message, count, attribute_integrity, code, sizeof code);
    }
    job->sent = now();
    job->tries++;
    send(client->socket, message, count, MSG_DONTWAIT);
}

static void learn_realm(skerry_turn_credentials *credentials, const uint8_t *realm, int count) {
    if ((int)strlen(credentials->realm) == count && memcmp(credentials->realm, realm, count) == 0) return;
    snprintf(credentials->realm, sizeof credentials->realm, "%.*s", count, (const char *)realm);
    char text[1024];
    int length = snprintf(
        text, sizeof text, "%s:%s:%s", credentials->username, credentials->realm, credentials->password);
    EVP_Digest(text, length, credentials->key, NULL, EVP_md5(), NULL);
}

typedef enum outcome { waiting, challenged, succeeded, refused } outcome;

/// Looks whether the answer is there.
static outcome receive(job *job, skerry_turn_credentials *credentials, int *error) {
    uint8_t message[max_message];
    skerry_turn_client *client = job->client;
    int count = (int)recv(client->socket, message, sizeof message, MSG_DONTWAIT);
    if (count < 20 || memcmp(message + 8, job->transaction, 12) != 0) return waiting;
    int is_success = read16(message) == (job->method | 0x100);
    int had_nonce = client->nonce_count > 0;
    *error = 0;
    for (int offset = 20; offset + 4 <= count;) {
        int attribute = read16(message + offset), length = read16(message + offset + 2);
        const uint8_t *value = message + offset + 4;
        if (offset + 4 + length > count) return refused;
        if (attribute == attribute_error && length >= 4) *error = (value[2] & 7) * 100 + value[3];
        if (attribute == attribute_realm && credentials) learn_realm(credentials, value, length);
        if (attribute == attribute_nonce && length <= skerry_turn_nonce_bytes && credentials) {
            memcpy(client->nonce, value, length);
            client->nonce_count = length;
        }
        if (attribute == attribute_relayed && length >= 8) client->relayed_port = read16(value + 2) ^ 0x2112;
        offset += 4 + ((length + 3) & ~3);
    }
    if (is_success) return succeeded;
    return (*error == 401 && !had_nonce) || *error == 438 ? challenged : refused;
}

/// Does what `next` gives, in_flight at a time, until it gives nothing.
static void run(int in_flight, int (*next)(job *job, void *context), void *context,
                skerry_turn_credentials *credentials, skerry_turn_tally *tally) {
    static job jobs[max_in_flight];
    int count = 0, is_over = 0;
    if (in_flight > max_in_flight) in_flight = max_in_flight;
    while (count > 0 || !is_over) {
        while (!is_over && count < in_flight) {
            jobs[count] = (job){0};
            if (!next(&jobs[count], context))
                is_over = 1;
            else
                start(&jobs[count++], credentials);
        }
        for (int i = 0; i < count; i++) {
            int error = 0;
            outcome outcome = receive(&jobs[i], credentials, &error);
            if (outcome == waiting && now() - jobs[i].sent < repeat_ns) continue;
            if (outcome == waiting) tally->repeated++;
            if ((outcome == waiting || (outcome == challenged && credentials)) && jobs[i].tries < max_tries) {
                start(&jobs[i], credentials);
                continue;
            }
            // Without credentials the challenge is all that is wanted.
            if (outcome == succeeded || (outcome == challenged && !credentials)) {
                tally->done++;
            } else {
                tally->failed++;
                tally->last_error = error;
            }
            jobs[i--] = jobs[--count];
        }
    }
}

typedef struct list {
    skerry_turn_client *clients;
    const uint16_t *peer_ports;
    int index, count;
    uint16_t channel;
} list;

static int next_allocation(job *job, void *context) {
    list *list = context;
    while (list->index < list->count && list->clients[list->index].relayed_port) list->index++;
    if (list->index == list->count) return 0;
    job->client = &list->clients[list->index++];
    job->method = method_allocate;
    return 1;
}

void skerry_turn_allocate(skerry_turn_client *clients, int count, int in_flight, skerry_turn_credentials *credentials,
                          skerry_turn_tally *tally) {
    list list = {.clients = clients, .count = count};
    *tally = (skerry_turn_tally){0};
    run(in_flight, next_allocation, &list, credentials, tally);
}

static int next_binding(job *job, void *context) {
    list *list = context;
    if (list->index == list->count) return 0;
    job->client = &list->clients[list->index];
    job->peer_port = list->peer_ports[list->index++];
    job->channel = list->channel;
    job->method = method_bind;
    return 1;
}

void skerry_turn_bind(skerry_turn_client *clients, const uint16_t *peer_ports, int count, uint16_t channel,
                      int in_flight, skerry_turn_credentials *credentials, skerry_turn_tally *tally) {
    list list = {.clients = clients, .peer_ports = peer_ports, .count = count, .channel = channel};
    *tally = (skerry_turn_tally){0};
    run(in_flight, next_binding, &list, credentials, tally);
}

void skerry_turn_challenge(skerry_turn_client *clients, int count, int in_flight, skerry_turn_tally *tally) {
    list list = {.clients = clients, .count = count};
    *tally = (skerry_turn_tally){0};
    run(in_flight, next_allocation, &list, NULL, tally);
}
