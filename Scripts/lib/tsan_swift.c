// Preloaded into programs that were built with ThreadSanitizer (Scripts/test --tsan). Libraries of the Swift toolchain are not
// instrumented, and three of their parts order what threads do without the sanitizer seeing it; without this, most of what a
// contended Mutex protects and most of what goes through a continuation looks like a race. Each wrapper below calls what it
// takes the place of, and tells the sanitizer. Nothing is hidden: races that these do not order are still reported.
//
// Names and layouts are those of Swift 6.3 on x86-64 and AArch64.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SWIFT_SELF __attribute__((swift_context))
#define ASYNC __attribute__((swiftasynccall))
#define ASYNC_CONTEXT __attribute__((swift_async_context))

// Absent in the other programs that a test starts, which inherit the preloading.
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

static void acquire(void *object) {
    if (__tsan_acquire) __tsan_acquire(object);
}

static void release(void *object) {
    if (__tsan_release) __tsan_release(object);
}

// 1. The runtime has annotations of its own, for tasks and executors, and switches them on from a hook that the sanitizer, being
// linked statically, does not find.

__attribute__((constructor)) static void switch_on_annotations(void) {
    if (!__tsan_acquire) return;
    void *core = dlopen("libswiftCore.so", RTLD_NOLOAD | RTLD_LAZY);
    void (*initialize)(void) = core ? (void (*)(void))dlsym(core, "__tsan_on_initialize") : 0;
    if (initialize) initialize();
}

// 2. Mutex of Synchronization: the slow paths of lock and unlock, which take the mutex's address as self. The fast paths are
// inlined, and so instrumented.

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void skerry_lock_slow(uint32_t thread, SWIFT_SELF void *mutex) __asm__(LOCK_SLOW);
SWIFT void skerry_unlock_slow(SWIFT_SELF void *mutex) __asm__(UNLOCK_SLOW);

SWIFT void skerry_lock_slow(uint32_t thread, SWIFT_SELF void *mutex) {
    SWIFT void (*next)(uint32_t, SWIFT_SELF void *) = dlsym(RTLD_NEXT, LOCK_SLOW);
    next(thread, mutex);
    acquire(mutex);
}

SWIFT void skerry_unlock_slow(SWIFT_SELF void *mutex) {
    SWIFT void (*next)(SWIFT_SELF void *) = dlsym(RTLD_NEXT, UNLOCK_SLOW);
    release(mutex);
    next(mutex);
}

// 3. Continuations that are resumed before, or while, their task comes to wait: the task goes on without having been enqueued.

typedef ASYNC void resume_function(ASYNC_CONTEXT void *);

// ContinuationAsyncContext. Only the lower bits of the flags are in use.
struct continuation {
    void *parent;
    resume_function *resume;
    uint64_t flags;
    _Atomic(uintptr_t) status;
};

enum { STATUS_RESUMED = 2 };

// AsyncTask.ResumeContext: the continuation that a task waits for.
static struct continuation *continuation_of(void *task) { return *(struct continuation **)((char *)task + 0x40); }

#define RESUME_WRAPPER(name, parameters, arguments)                    \
    SWIFT void name parameters {                                       \
        SWIFT void(*next) parameters = dlsym(RTLD_NEXT, #name);        \
        release(continuation_of(task));                                \
        next arguments;                                                \
    }

RESUME_WRAPPER(swift_continuation_resume, (void *task), (task))
RESUME_WRAPPER(swift_continuation_throwingResume, (void *task), (task))
RESUME_WRAPPER(swift_continuation_throwingResumeWithError, (void *task, void *error), (task, error))

// The functions that tasks go on with, each once; its index fits the unused half of the flags.
enum { FUNCTIONS = 1 << 14 };
static _Atomic(resume_function *) functions[FUNCTIONS];

static uint64_t index_of(resume_function *function) {
    uint64_t index = (uintptr_t)function / 16 % FUNCTIONS;
    for (int tries = 0; tries < FUNCTIONS; tries++, index = (index + 1) % FUNCTIONS) {
        resume_function *seen = 0;
        if (atomic_compare_exchange_strong(&functions[index], &seen, function) || seen == function) return index;
    }
    abort();
}

ASYNC static void go_on(ASYNC_CONTEXT void *context) {
    acquire(context);
    resume_function *function = functions[((struct continuation *)context)->flags >> 32];
    __attribute__((musttail)) return function(context);
}

ASYNC void swift_continuation_await(struct continuation *context) {
    ASYNC void (*next)(struct continuation *) = dlsym(RTLD_NEXT, "swift_continuation_await");
    if (atomic_load(&context->status) == STATUS_RESUMED) {
        acquire(context);
    } else if (__tsan_acquire) {
        context->flags = (context->flags & UINT32_MAX) | index_of(context->resume) << 32;
        context->resume = go_on;
    }
    __attribute__((musttail)) return next(context);
}
