#pragma once
#include <stdint.h>

/// Heap allocations that the calling thread has made since it began.
uint64_t skerry_allocations_on_this_thread(void);
