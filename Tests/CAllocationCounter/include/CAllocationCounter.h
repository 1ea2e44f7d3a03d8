#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Heap allocations that the calling thread has made since it began.
uint64_t skerry_allocations_on_this_thread(void);

/// Whether the programs are built with AddressSanitizer or ThreadSanitizer: they take more memory, and other amounts of it.
bool skerry_is_sanitized(void);

/// The heap of the process in use, without what the allocator keeps for later.
uint64_t skerry_heap_bytes(void);

/// System calls on sockets and epoll that the calling thread has made since it began; 0 in sanitizer builds.
uint64_t skerry_system_calls_on_this_thread(void);
