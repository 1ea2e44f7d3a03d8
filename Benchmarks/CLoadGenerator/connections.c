// Many TCP connections from one thread: epoll, edge-triggered, and a small state for each.
#define _GNU_SOURCE
#include "connections.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { events_at_once = 256, scratch_bytes = 65536, connections_per_address = 10000 };

typedef enum state { s_free, s_connecting, s_handshake, s_answer, s_echo, s_closing } state;

typedef struct connection {
    int descriptor;
    state state;
    SSL *ssl;
    /// Of the answer's head while that arrives; then what is missing of its body or of a frame.
    int head_bytes;
    int64_t missing;
    char head[1024];
} connection;

typedef struct clients {
    uint16_t port;
    int is_tls;
    skerry_client_kind kind;
    int epoll;
    SSL_CTX *context;
    SSL_SESSION *session;
    skerry_connect_tally *tally;
    /// Sources are taken from 127.0.0.2 on, so that there are ports for all.
    int opened;
} clients;

static const char http_request[] = "GET /16k HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char websocket_request[] =
    "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static uint8_t scratch[scratch_bytes];

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// A non-blocking socket on its way to 127.0.0.1, or -1.
static int start_connecting(uint16_t port, int index) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // The port is chosen by connect, which knows that another destination may have the same.
    setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    uint32_t last = 2 + (uint32_t)(index / connections_per_address) % 200;
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000000 + last)};
    struct sockaddr_in target = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(descriptor, (struct sockaddr *)&source, sizeof source) == 0 &&
        (connect(descriptor, (struct sockaddr *)&target, sizeof target) == 0 || errno == EINPROGRESS))
        return descriptor;
    close(descriptor);
    return -1;
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    clients *all = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (all->session) return 0;
    all->session = session;
    return 1;
}

static void prepare(clients *all) {
    all->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all->is_tls) return;
    all->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(all->context, TLS1_3_VERSION);
    SSL_CTX_set_app_data(all->context, all);
    SSL_CTX_set_session_cache_mode(all->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(all->context, keep_session);
}

static void end(clients *all) {
    SSL_SESSION_free(all->session);
    SSL_CTX_free(all->context);
    close(all->epoll);
}

/// Returns 0 when there is no socket.
static int open_connection(clients *all, connection *c) {
    *c = (connection){.descriptor = start_connecting(all->port, all->opened), .state = s_connecting};
    if (c->descriptor < 0) {
        c->state = s_free;
        all->tally->failed++;
        return 0;
    }
    all->opened++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(all->epoll, EPOLL_CTL_ADD, c->descriptor, &event);
    return 1;
}

static void close_connection(connection *c) {
    SSL_free(c->ssl);
    if (c->descriptor >= 0) close(c->descriptor);
    *c = (connection){.descriptor = -1};
}

static void fail(clients *all, connection *c) {
    all->tally->failed++;
    close_connection(c);
}

/// More than 0: bytes. 0: the end. -1: nothing yet. -2: broken.
static int64_t take(connection *c) {
    if (!c->ssl) {
        int64_t count = recv(c->descriptor, scratch, scratch_bytes, 0);
        return count >= 0 ? count : errno == EAGAIN ? -1 : -2;
    }
    int count = SSL_read(c->ssl, scratch, scratch_bytes);
    if (count > 0) return count;
    int error = SSL_get_error(c->ssl, count);
    return error == SSL_ERROR_WANT_READ ? -1 : error == SSL_ERROR_ZERO_RETURN ? 0 : -2;
}

/// What is sent is short and the peer reads it: it goes out whole, or something is wrong.
static int put(connection *c, const void *bytes, int count) {
    int sent = c->ssl ? SSL_write(c->ssl, bytes, count) : (int)send(c->descriptor, bytes, count, MSG_NOSIGNAL);
    return sent == count;
}

/// A masked binary frame; its mask is zero, as nobody looks. Returns its length.
static int frame(uint8_t *into, int payload_bytes) {
    int count = 0;
    into[count++] = 0x82;
    if (payload_bytes < 126) {
        into[count++] = (uint8_t)(0x80 | payload_bytes);
    } else {
        into[count++] = 0x80 | 126;
        into[count++] = (uint8_t)(payload_bytes >> 8);
        into[count++] = (uint8_t)payload_bytes;
    }
    memset(into + count, 0, 4);
    memset(into + count + 4, 'x', payload_bytes);
    return count + 4 + payload_bytes;
}

static int answer_bytes(int payload_bytes) { return payload_bytes + (payload_bytes < 126 ? 2 : 4); }

/// Goes on with the head and body of an answer. Returns 1 when it is whole, 0 when more must come, -1 when it is wrong.
static int take_answer(connection *c) {
    for (;;) {
        int64_t count = take(c);
        if (count == -1) return 0;
        if (count <= 0) return -1;
        const uint8_t *bytes = scratch;
        if (c->head_bytes >= 0) {
            int space = (int)sizeof c->head - 1 - c->head_bytes;
            int copied = count < space ? (int)count : space;
            memcpy(c->head + c->head_bytes, bytes, copied);
            c->head[c->head_bytes + copied] = 0;
            const char *end = strstr(c->head, "\r\n\r\n");
            if (!end) {
                c->head_bytes += copied;
                if (c->head_bytes == sizeof c->head - 1) return -1;
                continue;
            }
            const char *length = strcasestr(c->head, "\r\ncontent-length:");
            c->missing = length ? atoll(length + 17) : 0;
            int of_head = (int)(end + 4 - c->head) - c->head_bytes;
            c->head_bytes = -1;
            count -= of_head;
        }
        c->missing -= count;
        if (c->missing == 0) return 1;
        if (c->missing < 0) return -1;
    }
}

static int begin_request(clients *all, connection *c) {
    const char *request = all->kind == skerry_client_http ? http_request : websocket_request;
    c->state = s_answer;
    return put(c, request, (int)strlen(request));
}

/// Goes on until the connection must wait. Returns 1 when it is open and its handshake over (for request == 0), or its
/// request answered; 0 when it waits; -1 when it is broken.
static int proceed(clients *all, connection *c, int request) {
    if (c->state == s_connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) return -1;
        struct sockaddr_in peer;
        size = sizeof peer;
        if (getpeername(c->descriptor, (struct sockaddr *)&peer, &size) != 0) return 0;
        c->state = s_handshake;
        if (all->is_tls) {
            c->ssl = SSL_new(all->context);
            SSL_set_fd(c->ssl, c->descriptor);
            SSL_set_connect_state(c->ssl);
            if (all->session) {
                // OpenSSL's client uses a session of TLS 1.3 once.
                SSL_SESSION *copy = SSL_SESSION_dup(all->session);
                SSL_set_session(c->ssl, copy);
                SSL_SESSION_free(copy);
            }
        }
    }
    if (c->state == s_handshake) {
        if (c->ssl) {
            int done = SSL_do_handshake(c->ssl);
            if (done != 1) return SSL_get_error(c->ssl, done) == SSL_ERROR_WANT_READ ? 0 : -1;
        }
        if (!request) return 1;
        if (!begin_request(all, c)) return -1;
    }
    return take_answer(c);
}

void skerry_hold(uint16_t port, int is_tls, skerry_client_kind kind, int count, skerry_connect_tally *tally) {
    *tally = (skerry_connect_tally){0};
    clients all = {.port = port, .is_tls = is_tls, .kind = kind, .tally = tally};
    prepare(&all);
    enum { at_once = 64 };
    connection *slots = calloc(at_once, sizeof(connection));
    struct epoll_event events[events_at_once];
    int wanted = count, busy = 0;
    uint8_t message[64];
    for (;;) {
        for (int i = 0; i < at_once && wanted > 0; i++)
            if (slots[i].state == s_free) {
                busy += open_connection(&all, &slots[i]);
                wanted--;
            }
        if (busy == 0) break;
        int ready = epoll_wait(all.epoll, events, events_at_once, 10000);
        if (ready <= 0) break;
        for (int i = 0; i < ready; i++) {
            connection *c = events[i].data.ptr;
            if (c->state == s_free) continue;
            int outcome = proceed(&all, c, 1);
            if (outcome > 0 && kind == skerry_client_websocket && c->state == s_answer) {
                c->state = s_echo;
                c->missing = answer_bytes(16);
                outcome = put(c, message, frame(message, 16)) ? take_answer(c) : -1;
            }
            if (outcome == 0) continue;
            busy--;
            if (outcome < 0) {
                fail(&all, c);
                continue;
            }
            // The socket alone stays; nothing is said over it any more.
            tally->done++;
            epoll_ctl(all.epoll, EPOLL_CTL_DEL, c->descriptor, NULL);
            SSL_free(c->ssl);
            *c = (connection){.descriptor = -1};
        }
    }
    tally->failed += busy;
    free(slots);
    end(&all);
}

void skerry_handshakes(uint16_t port, int is_resumed, int in_flight, int64_t duration_ns, skerry_connect_tally *tally) {
    *tally = (skerry_connect_tally){0};
    clients all = {.port = port, .is_tls = 1, .tally = tally};
    prepare(&all);
    connection *slots = calloc(in_flight, sizeof(connection));
    struct epoll_event events[events_at_once];
    int64_t stop = now() + duration_ns;
    int busy = 0;
    for (;;) {
        int may_open = now() < stop;
        // Others wait for the session that they are to resume.
        int most = is_resumed && !all.session ? 1 : in_flight;
        for (int i = 0; i < in_flight && may_open && busy < most; i++)
            if (slots[i].state == s_free) busy += open_connection(&all, &slots[i]);
        if (busy == 0) break;
        int ready = epoll_wait(all.epoll, events, events_at_once, 2000);
        if (ready <= 0) break;
        for (int i = 0; i < ready; i++) {
            connection *c = events[i].data.ptr;
            if (c->state == s_free) continue;
            if (c->state != s_closing) {
                int outcome = proceed(&all, c, 0);
                if (outcome == 0) continue;
                if (outcome < 0 || (is_resumed && tally->done > 0 && !SSL_session_reused(c->ssl))) {
                    fail(&all, c);
                    busy--;
                    continue;
                }
                c->state = s_closing;
                SSL_shutdown(c->ssl);
            }
            // Tickets come here, too. Only after the server's FIN is nothing left of the connection on this side.
            int64_t count = take(c);
            while (count > 0) count = take(c);
            if (count == 0 || count == -2) count = recv(c->descriptor, scratch, scratch_bytes, 0);
            if (count == 0) {
                tally->done++;
                close_connection(c);
                busy--;
            } else if (errno != EAGAIN) {
                fail(&all, c);
                busy--;
            }
        }
    }
    tally->failed += busy;
    for (int i = 0; i < in_flight; i++) close_connection(&slots[i]);
    free(slots);
    end(&all);
}

void skerry_echo(uint16_t port, int connections, int payload_bytes, int64_t duration_ns, skerry_connect_tally *tally) {
    *tally = (skerry_connect_tally){0};
    clients all = {.port = port, .kind = skerry_client_websocket, .tally = tally};
    prepare(&all);
    connection *slots = calloc(connections, sizeof(connection));
    struct epoll_event events[events_at_once];
    uint8_t message[1024 + 8];
    int count = frame(message, payload_bytes);
    for (int i = 0; i < connections; i++) open_connection(&all, &slots[i]);
    int64_t stop = now() + duration_ns;
    int busy = connections;
    while (busy > 0) {
        int ready = epoll_wait(all.epoll, events, events_at_once, 1000);
        if (ready <= 0) break;
        int is_over = now() >= stop;
        for (int i = 0; i < ready; i++) {
            connection *c = events[i].data.ptr;
            if (c->state == s_free) continue;
            int outcome = c->state == s_echo ? take_answer(c) : proceed(&all, c, 1);
            if (outcome > 0 && c->state == s_echo) tally->done++;
            if (outcome > 0 && !is_over) {
                c->state = s_echo;
                c->missing = answer_bytes(payload_bytes);
                outcome = put(c, message, count) ? 0 : -1;
            } else if (outcome > 0) {
                close_connection(c);
                busy--;
            }
            if (outcome < 0) {
                fail(&all, c);
                busy--;
            }
        }
    }
    tally->failed += busy;
    for (int i = 0; i < connections; i++) close_connection(&slots[i]);
    free(slots);
    end(&all);
}

/// Opens connections and sends the beginning of a request over each. Returns whether all stand.
static int open_slow(uint16_t port, int *sockets, int count) {
    static const char begun[] = "GET /16k HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    for (int i = 0; i < count; i++) {
        sockets[i] = start_connecting(port, i);
        // The backlog shall not fill up.
        if (i % 256 == 255) usleep(20000);
    }
    usleep(100000);
    for (int i = 0; i < count; i++)
        if (send(sockets[i], begun, sizeof begun - 1, MSG_NOSIGNAL) < 0) return 0;
    return 1;
}

/// Looks at the connections without waiting. Counts what was answered, with the time since it was due.
static void take_answers(clients *all, const connection *first, int64_t *due, uint32_t *delays, size_t capacity) {
    struct epoll_event events[events_at_once];
    int ready = epoll_wait(all->epoll, events, events_at_once, 0);
    for (int i = 0; i < ready; i++) {
        connection *c = events[i].data.ptr;
        int outcome = c->state == s_handshake ? 0 : proceed(all, c, 0);
        if (outcome == 0) continue;
        if (outcome > 0 && c->state == s_answer) {
            int64_t delay = now() - due[c - first];
            if (all->tally->done < capacity) delays[all->tally->done] = delay > UINT32_MAX ? UINT32_MAX : (uint32_t)delay;
            all->tally->done++;
            c->state = s_handshake;
        } else if (outcome < 0) {
            fail(all, c);
        }
    }
}

size_t skerry_paced_requests(uint16_t port, int slow, int connections, int per_second, int64_t duration_ns,
                             skerry_connect_tally *tally, uint32_t *delays, size_t capacity) {
    *tally = (skerry_connect_tally){0};
    clients all = {.port = port, .kind = skerry_client_http, .tally = tally};
    prepare(&all);
    connection *slots = calloc(connections, sizeof(connection));
    int64_t *due = calloc(connections, sizeof(int64_t));
    int *sockets = calloc(slow + 1, sizeof(int));
    if (!open_slow(port, sockets, slow)) tally->failed++;
    for (int i = 0; i < connections; i++) open_connection(&all, &slots[i]);
    int64_t start = now() + 200000000, stop = start + duration_ns, next = start;
    int64_t slow_interval = slow ? 1000000000 / slow : INT64_MAX / 2, next_slow = start - 200000000 + slow_interval;
    int turn = 0, slow_turn = 0;
    for (int64_t time = now(); time < stop; time = now()) {
        if (time >= next_slow) {
            if (send(sockets[slow_turn], "x", 1, MSG_NOSIGNAL) < 0) tally->failed++;
            slow_turn = (slow_turn + 1) % slow;
            next_slow += slow_interval;
        }
        // One that still waits for its answer lets its turn pass; the answer's delay tells of that.
        if (time >= next) {
            connection *c = &slots[turn];
            if (c->state == s_handshake) {
                c->head_bytes = 0;
                due[turn] = next;
                if (!begin_request(&all, c)) fail(&all, c);
            }
            turn = (turn + 1) % connections;
            next += 1000000000 / per_second;
        }
        take_answers(&all, slots, due, delays, capacity);
    }
    for (int i = 0; i < connections; i++) close_connection(&slots[i]);
    for (int i = 0; i < slow; i++) close(sockets[i]);
    free(slots);
    free(due);
    free(sockets);
    end(&all);
    return tally->done < capacity ? tally->done : capacity;
}
