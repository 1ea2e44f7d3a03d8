// Counts system calls by standing in front of the C library's functions in the test executable: those that event loops and
// sockets use. Not in sanitizer builds, which stand there themselves.
#define _GNU_SOURCE
#include "CAllocationCounter.h"
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static _Thread_local uint64_t count;

uint64_t skerry_system_calls_on_this_thread(void) { return count; }

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
struct msghdr;
struct mmsghdr;
struct epoll_event;
struct timespec;
struct sockaddr;

#define COUNTED(number, ...) (count++, syscall(number, __VA_ARGS__))

ssize_t recv(int fd, void *bytes, size_t size, int flags) { return COUNTED(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL); }
ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    return COUNTED(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) { return COUNTED(SYS_sendmsg, fd, message, flags); }
ssize_t recvmsg(int fd, struct msghdr *message, int flags) { return COUNTED(SYS_recvmsg, fd, message, flags); }
ssize_t sendfile(int to, int from, off_t *offset, size_t size) { return COUNTED(SYS_sendfile, to, from, offset, size); }
ssize_t preadv2(int fd, const void *pieces, int number, off_t offset, int flags) {
    return COUNTED(SYS_preadv2, fd, pieces, number, offset, 0, flags);
}
int setsockopt(int fd, int level, int name, const void *value, unsigned size) {
    return (int)COUNTED(SYS_setsockopt, fd, level, name, value, size);
}
int epoll_pwait2(int fd, struct epoll_event *events, int capacity, const struct timespec *timeout, const void *mask) {
    return (int)COUNTED(SYS_epoll_pwait2, fd, events, capacity, timeout, mask, 8);
}
int epoll_ctl(int fd, int operation, int other, struct epoll_event *event) {
    return (int)COUNTED(SYS_epoll_ctl, fd, operation, other, event);
}
#endif
