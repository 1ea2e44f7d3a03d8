// Counts heap allocations by standing in front of the C library's allocator in the test executable. Sanitizers bring an
// allocator of their own, which calls a hook.
#include "CAllocationCounter.h"
#include <malloc.h>
#include <stddef.h>

static _Thread_local uint64_t count;

uint64_t skerry_allocations_on_this_thread(void) { return count; }

uint64_t skerry_heap_bytes(void) {
    struct mallinfo2 information = mallinfo2();
    return information.uordblks + information.hblkhd;
}

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
bool skerry_is_sanitized(void) { return true; }

__attribute__((no_sanitize("address", "thread"))) void __sanitizer_malloc_hook(const volatile void *pointer, size_t size) {
    (void)pointer;
    (void)size;
    count++;
}
#else
bool skerry_is_sanitized(void) { return false; }

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
    count++;
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count++;
    return __libc_calloc(number, size);
}

void *realloc(void *pointer, size_t size) {
    count++;
    return __libc_realloc(pointer, size);
}

int posix_memalign(void **pointer, size_t alignment, size_t size) {
    count++;
    *pointer = __libc_memalign(alignment, size);
    return *pointer ? 0 : 12;
}
#endif
