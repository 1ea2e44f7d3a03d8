#define _GNU_SOURCE
#include "linux.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static _Thread_local void *current_loop;
void *skerry_current_loop(void) { return current_loop; }
void skerry_set_current_loop(void *loop) { current_loop = loop; }

int skerry_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

int skerry_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data) {
    return control(epoll, EPOLL_CTL_ADD, descriptor, events, data);
}
int skerry_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t data) {
    return control(epoll, EPOLL_CTL_MOD, descriptor, events, data);
}
int skerry_epoll_remove(int epoll, int descriptor) { return control(epoll, EPOLL_CTL_DEL, descriptor, 0, 0); }

int skerry_epoll_wait(int epoll, skerry_event *events, int capacity, int waits) {
    struct epoll_event raw[256];
    if (capacity > 256) capacity = 256;
    // libc's call is a point of cancellation, which costs some nanoseconds on either side.
    int count = (int)syscall(SYS_epoll_pwait, epoll, raw, capacity, waits ? -1 : 0, NULL, (size_t)8);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        events[i].events = raw[i].events;
        events[i].data = raw[i].data.u64;
    }
    return count;
}

int skerry_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); }

void skerry_timerfd_set(int timer, uint64_t deadline_ns) {
    // Zero would mean never.
    if (deadline_ns == 0) deadline_ns = 1;
    struct itimerspec deadline = {
        .it_value = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &deadline, NULL);
}

int skerry_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

ssize_t skerry_sendfile(int socket, int file, int64_t offset, size_t count) {
    off_t at = offset;
    ssize_t sent = sendfile(socket, file, &at, count);
    return sent < 0 ? -errno : sent;
}

ssize_t skerry_read_resident(int file, void *bytes, size_t count, int64_t offset) {
    struct iovec vector = {.iov_base = bytes, .iov_len = count};
    ssize_t done = preadv2(file, &vector, 1, offset, RWF_NOWAIT);
    return done < 0 ? -errno : done;
}

int skerry_is_resident(int file, int64_t offset, size_t count) {
    // The kernel's struct cachestat_range and struct cachestat, which the C library's headers do not have yet.
    struct {
        uint64_t offset, count;
    } range = {(uint64_t)offset, count};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } state;
    const long cachestat = 451;
    if (syscall(cachestat, file, &range, &state, 0) < 0) return -errno;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t wanted = ((uint64_t)offset + count + page - 1) / page - (uint64_t)offset / page;
    return state.cached >= wanted;
}

static void termination_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

int skerry_block_signals(void) {
    sigset_t set;
    termination_signals(&set);
    signal(SIGPIPE, SIG_IGN);
    return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int skerry_signalfd(void) {
    sigset_t set;
    termination_signals(&set);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void hangup_signal(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGHUP);
}

int skerry_block_hangup(void) {
    sigset_t set;
    hangup_signal(&set);
    return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int skerry_hangup_signalfd(void) {
    sigset_t set;
    hangup_signal(&set);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int skerry_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int skerry_open_directory(const char *path) { return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

void skerry_set_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }

int skerry_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    return CPU_COUNT(&set);
}
