#pragma once
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/// The event loop that runs on this thread, or NULL.
void *skerry_current_loop(void);
void skerry_set_current_loop(void *loop);

/// epoll, with the 64 bits of user data as one number.
typedef struct skerry_event {
    uint32_t events;
    uint64_t data;
} skerry_event;

#define SKERRY_EPOLLIN 0x001u
#define SKERRY_EPOLLOUT 0x004u
#define SKERRY_EPOLLERR 0x008u
#define SKERRY_EPOLLHUP 0x010u
#define SKERRY_EPOLLRDHUP 0x2000u

int skerry_epoll_create(void);
int skerry_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data);
int skerry_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t data);
int skerry_epoll_remove(int epoll, int descriptor);
/// Returns the number of events, or -errno.
///
/// waits: until there is one; else it only looks.
int skerry_epoll_wait(int epoll, skerry_event *events, int capacity, int waits);

/// Of the monotonic clock; readable once the time has come that it is set to, anew with each setting.
int skerry_timerfd(void);
void skerry_timerfd_set(int timer, uint64_t deadline_ns);

int skerry_eventfd(void);
ssize_t skerry_sendfile(int socket, int file, int64_t offset, size_t count);
/// pread of what the page cache has (RWF_NOWAIT). -EAGAIN when the disk would be waited for, -EOPNOTSUPP where nobody can tell.
ssize_t skerry_read_resident(int file, void *bytes, size_t count, int64_t offset);
/// Whether the page cache has all of the range: 1 or 0, or -errno (-ENOSYS before Linux 6.5).
int skerry_is_resident(int file, int64_t offset, size_t count);
/// A descriptor that reads SIGTERM and SIGINT; blocks them for the calling thread and those that it starts.
int skerry_block_signals(void);
int skerry_signalfd(void);
/// The same for SIGHUP alone.
int skerry_block_hangup(void);
int skerry_hangup_signalfd(void);

/// accept4, non-blocking and close-on-exec. Negative, with errno set, when there is nothing to accept.
int skerry_accept(int listener);
int skerry_open_directory(const char *path);
void skerry_set_thread_name(const char *name);
int skerry_cpu_count(void);

/// A count that goes up at a constant rate, read without a system call or a fence: a few nanoseconds, half of what
/// clock_gettime costs.
static inline uint64_t skerry_ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#endif
}

/// An address as the kernel writes it, in network order: it lies in memory as sockaddr_in6 does, or as sockaddr_in where the family
/// is AF_INET. A type of our own, since a header of the system that two modules read belongs to either of them.
typedef struct skerry_address {
    uint16_t family;
    uint16_t port;
    uint32_t v4;
    uint8_t v6[16];
    uint32_t scope;
} skerry_address;

/// One message of a batch: bytes and capacity are set before the batch is made, the rest by skerry_batch_receive.
typedef struct skerry_datagram {
    void *bytes;
    uint32_t capacity;
    uint32_t count;
    /// The source.
    skerry_address address;
    /// The address that it was sent to, in network order; 4 or 16 bytes by the family, 0 where the socket does not tell.
    uint8_t local[16];
    uint8_t local_family;
    uint8_t truncated;
    /// Where the kernel has merged datagrams of one size (UDP_GRO): that size. Else 0.
    uint16_t segment;
} skerry_datagram;

/// What recvmmsg is told about the datagrams, made once for all its calls.
typedef struct skerry_batch skerry_batch;
/// NULL when there is no memory. The datagrams must stay where they are.
skerry_batch *skerry_batch_create(skerry_datagram *datagrams, int capacity);
void skerry_batch_destroy(skerry_batch *batch);
/// Receives at most limit messages without waiting, by one system call. Of a plain socket nothing is asked but bytes and source: it
/// neither merges datagrams nor wants its local address told. Returns the number received, or -errno.
int skerry_batch_receive(skerry_batch *batch, int socket, int limit, int plain);

/// Fragments are allowed, and, where wants_local is set, the kernel tells what address datagrams were sent to.
void skerry_udp_prepare(int socket, int family, int wants_local);
/// From here on the kernel may merge datagrams of one size and one source.
void skerry_udp_merge(int socket);
int skerry_udp_merges(int socket);
/// Whether datagrams may be fragmented, by this host and on their way.
void skerry_udp_forbid_fragments(int socket, int family, int forbidden);
/// Asks for ICMP errors, which skerry_udp_error reads.
void skerry_udp_report_errors(int socket, int family);
/// Datagrams that the socket's receive queue had no room for, so far.
uint32_t skerry_udp_receive_drops(int socket);
/// Datagrams of one size that the kernel takes in one message (UDP_SEGMENT); 0 where it takes none.
int skerry_udp_segment_limit(void);

/// A message to send: one datagram, or several of one size, of which the last may be smaller. Addresses are numbers, as in
/// IPAddress.
typedef struct skerry_message {
    const void *bytes;
    uint64_t to_high, to_low, local_high, local_low;
    uint32_t count;
    /// The size of each; 0 for a single datagram.
    uint16_t segment;
    uint16_t to_port;
    uint8_t is_v6;
    uint8_t has_local;
} skerry_message;

/// Sends without waiting, by as few system calls as it takes. Returns the number of messages that the kernel took, at least 1,
/// or -errno of the first.
int skerry_send_messages(int socket, const skerry_message *messages, int count);

/// Sends a message of one datagram, from the address that the socket has. Returns 0, or -errno.
int skerry_send_datagram(int socket, const skerry_message *message);

/// What the network, or the kernel, has said about a datagram that was sent.
typedef struct skerry_udp_error_report {
    /// Where the datagram was sent to.
    skerry_address destination;
    int32_t code;
    /// Of SO_EE_ORIGIN_.
    uint8_t origin;
    uint8_t icmp_type;
    uint8_t icmp_code;
    /// Path MTU where the datagram was too large.
    uint32_t mtu;
} skerry_udp_error_report;

#define SKERRY_ORIGIN_LOCAL 1
#define SKERRY_ORIGIN_ICMP 2
#define SKERRY_ORIGIN_ICMP6 3

/// Takes one report. Returns 0, or -errno when there is none.
int skerry_udp_error(int socket, skerry_udp_error_report *report);
