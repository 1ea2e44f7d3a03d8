#define _GNU_SOURCE
#include "CLoadGenerator.h"
#include <errno.h>
#include <sched.h>

int skerry_processor(int index) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return -1;
    for (int processor = 0; processor < CPU_SETSIZE; processor++)
        if (CPU_ISSET(processor, &set) && index-- == 0) return processor;
    return -1;
}

int skerry_pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return sched_setaffinity(0, sizeof set, &set) < 0 ? errno : 0;
}
