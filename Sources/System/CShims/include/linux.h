#pragma once
#include <stdint.h>
#include <sys/socket.h>
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
/// timeout_ns < 0 waits without end. Returns the number of events, or -errno.
int skerry_epoll_wait(int epoll, skerry_event *events, int capacity, int64_t timeout_ns);

int skerry_eventfd(void);
ssize_t skerry_sendfile(int socket, int file, int64_t offset, size_t count);
/// pread of what the page cache has (RWF_NOWAIT). -EAGAIN when the disk would be waited for, -EOPNOTSUPP where nobody can tell.
ssize_t skerry_read_resident(int file, void *bytes, size_t count, int64_t offset);
/// Whether the page cache has all of the range: 1 or 0, or -errno (-ENOSYS before Linux 6.5).
int skerry_is_resident(int file, int64_t offset, size_t count);
/// A descriptor that reads SIGTERM and SIGINT; blocks them for the calling thread and those that it starts.
int skerry_block_signals(void);
int skerry_signalfd(void);

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

/// One datagram of a batch: bytes and capacity are set before the batch is made, the rest by skerry_batch_receive.
typedef struct skerry_datagram {
    void *bytes;
    uint32_t capacity;
    uint32_t count;
    struct sockaddr_storage address;
    uint32_t truncated;
} skerry_datagram;

/// What recvmmsg is told about the datagrams, made once for all its calls.
typedef struct skerry_batch skerry_batch;
/// NULL when there is no memory. The datagrams must stay where they are.
skerry_batch *skerry_batch_create(skerry_datagram *datagrams, int capacity);
void skerry_batch_destroy(skerry_batch *batch);
/// recvmmsg without waiting. Returns the number received, or -errno.
int skerry_batch_receive(skerry_batch *batch, int socket);
