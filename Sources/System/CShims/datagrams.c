#define _GNU_SOURCE
#include "linux.h"
#include <endian.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(sizeof(skerry_address) == sizeof(struct sockaddr_in6), "an address lies as the kernel writes it");

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum {
    control_in_bytes = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo)),
    control_out_bytes = CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo)),
    max_messages = 32,
};

// MARK: - In

struct skerry_batch {
    skerry_datagram *datagrams;
    int capacity;
    struct mmsghdr *headers;
    struct iovec *pieces;
    uint8_t (*controls)[control_in_bytes];
};

skerry_batch *skerry_batch_create(skerry_datagram *datagrams, int capacity) {
    skerry_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    *batch = (skerry_batch){
        .datagrams = datagrams,
        .capacity = capacity,
        .headers = calloc(capacity, sizeof *batch->headers),
        .pieces = calloc(capacity, sizeof *batch->pieces),
        .controls = aligned_alloc(16, ((size_t)capacity * control_in_bytes + 15) / 16 * 16),
    };
    if (!batch->headers || !batch->pieces || !batch->controls) {
        skerry_batch_destroy(batch);
        return NULL;
    }
    for (int i = 0; i < capacity; i++) {
        batch->pieces[i] = (struct iovec){.iov_base = datagrams[i].bytes, .iov_len = datagrams[i].capacity};
        batch->headers[i].msg_hdr = (struct msghdr){
            .msg_name = &datagrams[i].address,
            .msg_namelen = sizeof datagrams[i].address,
            .msg_iov = &batch->pieces[i],
            .msg_iovlen = 1,
            .msg_control = batch->controls[i],
            .msg_controllen = control_in_bytes,
        };
    }
    return batch;
}

void skerry_batch_destroy(skerry_batch *batch) {
    free(batch->headers);
    free(batch->pieces);
    free(batch->controls);
    free(batch);
}

static void read_control(struct msghdr *header, skerry_datagram *datagram) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            datagram->segment = (uint16_t)segment;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            // The address to answer from, which is not that of the datagram where that went to many.
            memcpy(datagram->local, &info.ipi_spec_dst, 4);
            datagram->local_family = AF_INET;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(datagram->local, &info.ipi6_addr, 16);
            datagram->local_family = AF_INET6;
        }
    }
}

static void take(struct msghdr *header, skerry_datagram *datagram, uint32_t count) {
    datagram->count = count;
    datagram->truncated = (header->msg_flags & MSG_TRUNC) != 0;
    datagram->segment = 0;
    datagram->local_family = 0;
    if (header->msg_controllen > 0) read_control(header, datagram);
    // The kernel has set them to what it used.
    header->msg_namelen = sizeof datagram->address;
    header->msg_controllen = control_in_bytes;
}

static int receive_plain(int socket, skerry_datagram *datagram) {
    socklen_t size = sizeof datagram->address;
    ssize_t count = recvfrom(socket, datagram->bytes, datagram->capacity, MSG_DONTWAIT | MSG_TRUNC,
                             (struct sockaddr *)&datagram->address, &size);
    if (count < 0) return -errno;
    datagram->count = (uint32_t)count;
    datagram->truncated = (size_t)count > datagram->capacity;
    datagram->segment = 0;
    datagram->local_family = 0;
    return 1;
}

int skerry_batch_receive(skerry_batch *batch, int socket, int limit, int plain) {
    // One datagram by recvmmsg costs a quarter more than by recvfrom, and a sixteenth more than by recvmsg.
    if (limit == 1) {
        if (plain) return receive_plain(socket, batch->datagrams);
        ssize_t count = recvmsg(socket, &batch->headers->msg_hdr, MSG_DONTWAIT);
        if (count < 0) return -errno;
        take(&batch->headers->msg_hdr, batch->datagrams, (uint32_t)count);
        return 1;
    }
    int count = recvmmsg(socket, batch->headers, limit < batch->capacity ? limit : batch->capacity, MSG_DONTWAIT, NULL);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++)
        take(&batch->headers[i].msg_hdr, &batch->datagrams[i], batch->headers[i].msg_len);
    return count;
}

void skerry_udp_prepare(int socket, int family, int wants_local) {
    int on = 1;
    if (family == AF_INET) skerry_udp_forbid_fragments(socket, family, 0);
    if (!wants_local) return;
    if (family == AF_INET)
        setsockopt(socket, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    else
        setsockopt(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

void skerry_udp_merge(int socket) {
    int on = 1;
    setsockopt(socket, SOL_UDP, UDP_GRO, &on, sizeof on);
}

int skerry_udp_merges(int socket) {
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(socket, SOL_UDP, UDP_GRO, &on, &size) == 0 && on;
}

void skerry_udp_forbid_fragments(int socket, int family, int forbidden) {
    // IPv4, allowed: DF is 0, routers fragment, and no forged ICMP error can make this host believe in a small path. The errors are
    // still told of, which IP_PMTUDISC_DONT would keep to itself. IPv6: this host fragments to what it knows of the path.
    // Forbidden: the path is probed by every datagram, whatever earlier ones have found out.
    if (family == AF_INET) {
        int way = forbidden ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT;
        setsockopt(socket, IPPROTO_IP, IP_MTU_DISCOVER, &way, sizeof way);
    } else {
        int way = forbidden ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT;
        setsockopt(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &way, sizeof way);
    }
}

uint32_t skerry_udp_receive_drops(int socket) {
    uint32_t values[9] = {0};  // SK_MEMINFO_, of which the last is the drops
    socklen_t size = sizeof values;
    return getsockopt(socket, SOL_SOCKET, SO_MEMINFO, values, &size) < 0 ? 0 : values[8];
}

// MARK: - Out

typedef union any_address {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} any_address;

static struct in6_addr v6_address(uint64_t high, uint64_t low) {
    uint64_t parts[2] = {htobe64(high), htobe64(low)};
    struct in6_addr address;
    memcpy(&address, parts, sizeof address);
    return address;
}

static socklen_t fill_address(any_address *address, const skerry_message *message) {
    if (message->is_v6) {
        address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                            .sin6_port = htons(message->to_port),
                                            .sin6_addr = v6_address(message->to_high, message->to_low)};
        return sizeof address->v6;
    }
    address->v4 = (struct sockaddr_in){.sin_family = AF_INET,
                                       .sin_port = htons(message->to_port),
                                       .sin_addr.s_addr = htonl((uint32_t)message->to_low)};
    return sizeof address->v4;
}

static void append_control(struct msghdr *header, int level, int type, const void *data, size_t size) {
    struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)header->msg_control + header->msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    header->msg_controllen += CMSG_SPACE(size);
}

static void fill_control(struct msghdr *header, uint8_t *control, const skerry_message *message) {
    if (!message->segment && !message->has_local) return;
    header->msg_control = control;
    if (message->segment) append_control(header, SOL_UDP, UDP_SEGMENT, &message->segment, sizeof message->segment);
    if (!message->has_local) return;
    if (message->is_v6) {
        struct in6_pktinfo info = {.ipi6_addr = v6_address(message->local_high, message->local_low)};
        append_control(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    } else {
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)message->local_low)};
        append_control(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
}

int skerry_send_datagram(int socket, const skerry_message *message) {
    any_address address;
    socklen_t size = fill_address(&address, message);
    ssize_t sent = sendto(socket, message->bytes, message->count, MSG_DONTWAIT | MSG_NOSIGNAL,
                          (struct sockaddr *)&address, size);
    return sent < 0 ? -errno : 0;
}

int skerry_send_messages(int socket, const skerry_message *messages, int count) {
    if (count == 1 && !messages->segment && !messages->has_local) {
        int error = skerry_send_datagram(socket, messages);
        return error < 0 ? error : 1;
    }
    if (count > max_messages) count = max_messages;
    struct mmsghdr headers[max_messages];
    struct iovec pieces[max_messages];
    any_address addresses[max_messages];
    _Alignas(struct cmsghdr) uint8_t controls[max_messages][control_out_bytes];
    for (int i = 0; i < count; i++) {
        pieces[i] = (struct iovec){.iov_base = (void *)messages[i].bytes, .iov_len = messages[i].count};
        headers[i].msg_hdr =
            (struct msghdr){.msg_name = &addresses[i], .msg_iov = &pieces[i], .msg_iovlen = 1};
        headers[i].msg_hdr.msg_namelen = fill_address(&addresses[i], &messages[i]);
        fill_control(&headers[i].msg_hdr, controls[i], &messages[i]);
    }
    int sent = sendmmsg(socket, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

/// One message of so many datagrams from a socket to itself.
static int takes_segments(int socket, uint16_t count) {
    static const uint8_t bytes[128];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(socket, (struct sockaddr *)&address, size) < 0) return 0;
    if (getsockname(socket, (struct sockaddr *)&address, &size) < 0) return 0;
    skerry_message message = {.bytes = bytes,
                              .count = count,
                              .segment = 1,
                              .to_low = INADDR_LOOPBACK,
                              .to_port = ntohs(address.sin_port)};
    return skerry_send_messages(socket, &message, 1) == 1;
}

int skerry_udp_segment_limit(void) {
    // UDP_MAX_SEGMENTS of older kernels; the later ones' 128 would make messages that take a receiver's queue by surprise.
    enum { limit = 64 };
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return 0;
    int takes = takes_segments(probe, limit);
    close(probe);
    return takes ? limit : 0;
}

// MARK: - Errors

void skerry_udp_report_errors(int socket, int family) {
    int on = 1;
    if (family == AF_INET)
        setsockopt(socket, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    else
        setsockopt(socket, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

int skerry_udp_error(int socket, skerry_udp_error_report *report) {
    _Alignas(struct cmsghdr) uint8_t control[256];
    uint8_t byte;  // the datagram, or its beginning, which nobody asks for
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = {
        .msg_name = &report->destination,
        .msg_namelen = sizeof report->destination,
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    memset(report, 0, sizeof *report);
    if (recvmsg(socket, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        int is_v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        int is_v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        if (!is_v4 && !is_v6) continue;
        struct sock_extended_err error;
        memcpy(&error, CMSG_DATA(c), sizeof error);
        report->code = (int32_t)error.ee_errno;
        report->origin = error.ee_origin;
        report->icmp_type = error.ee_type;
        report->icmp_code = error.ee_code;
        report->mtu = error.ee_errno == EMSGSIZE ? error.ee_info : 0;
    }
    return 0;
}
