import CFFmpeg
import CSeccomp
import Glibc
import WorkerProtocol

/// Locks the process in, for good: it keeps one socket, and can compute, ask for memory, and talk over that socket. Nothing
/// that a decoder can be made to do by its input reaches files, the network, other processes or more privileges.
enum Sandbox {
    private static let nobody: UInt32 = 65_534

    /// What a job needs beside its socket and memory that holds no code; any other system call kills the process. Seen are
    /// `brk`, `munmap`, `mremap`, `futex`, `sysinfo` (the size of the memory, asked by glibc's qsort) and `exit_group`; the
    /// others are as harmless, and other versions of the C library make them for the same ends.
    private static let allowedCalls = [
        "brk", "munmap", "mremap", "madvise", "futex", "clock_gettime", "getrandom", "sysinfo", "exit_group",
    ]
    /// With a signal sent to itself, what `abort` needs: a failed assertion is to look like one, not like an attack.
    private static let abortCalls = ["getpid", "gettid", "rt_sigprocmask"]

    static func enter(keeping descriptor: Int32, limits: WorkerJob.Limits) throws(WorkerFailure) {
        warmUp()
        _ = nice(10)  // relayed packets come first
        try require(skerry_close_range(0, UInt32(descriptor) - 1))
        try require(skerry_close_range(UInt32(descriptor) + 1, .max))
        let loadedBytes = try addressSpaceBytes()
        offerToTheOutOfMemoryKiller()
        // The Swift runtime's own handlers would start a debugger: a crash is to be a plain one.
        for number in [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGTRAP] { signal(number, SIG_DFL) }
        try limit(RLIMIT_CORE, 0)
        try limit(RLIMIT_FSIZE, 0)
        try limit(RLIMIT_CPU, UInt64(limits.cpuSeconds), hard: UInt64(limits.cpuSeconds) + 1)
        try require(skerry_prctl(PR_SET_NO_NEW_PRIVS, 1))
        if skerry_landlock_deny_all() != 0, errno != ENOSYS, errno != EOPNOTSUPP { throw .sandbox }
        try limit(RLIMIT_NOFILE, 0)
        try dropPrivileges()
        try limit(__RLIMIT_NPROC, 0)
        try limit(RLIMIT_AS, loadedBytes &+ limits.memoryBytes)
        try require(skerry_prctl(PR_SET_DUMPABLE, 0))
        try filterCalls(descriptor)
    }

    /// What libraries open or load when first used must be open and loaded before.
    private static func warmUp() {
        av_log_set_level(AV_LOG_QUIET)
        tzset()  // gmtime_r of a creation date would open /etc/localtime
        _ = av_get_cpu_flags()
        for name in ["mjpeg", "png", "h264"] {
            guard let codec = avcodec_find_decoder_by_name(name) else { continue }
            var context = avcodec_alloc_context3(codec)
            context?.pointee.thread_count = 1
            _ = avcodec_open2(context, codec, nil)
            avcodec_free_context(&context)
        }
    }

    /// When the host runs out of memory, a thumbnail goes before the edge does. A refusal is no harm.
    private static func offerToTheOutOfMemoryKiller() {
        let file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, "1000", 4)
        close(file)
    }

    private static func dropPrivileges() throws(WorkerFailure) {
        if geteuid() == 0 {
            try require(setgroups(0, nil))
            // From root, these set the real, the effective and the saved id.
            try require(setgid(nobody))
            try require(setuid(nobody))
        }
        try require(skerry_drop_capabilities())
    }

    private static func limit(
        _ resource: __rlimit_resource, _ value: UInt64, hard: UInt64? = nil
    ) throws(WorkerFailure) {
        // A limit that the edge itself runs under stands, if it is lower.
        var current = rlimit()
        try require(getrlimit(Int32(resource.rawValue), &current))
        let ceiling = UInt64(current.rlim_max)
        var wanted = rlimit(rlim_cur: rlim_t(min(value, ceiling)), rlim_max: rlim_t(min(hard ?? value, ceiling)))
        try require(setrlimit(Int32(resource.rawValue), &wanted))
    }

    /// What the program takes now, from the first number of /proc/self/statm.
    private static func addressSpaceBytes() throws(WorkerFailure) -> UInt64 {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .sandbox }
        defer { close(file) }
        var digits = [UInt8](repeating: 0, count: 24)
        guard read(file, &digits, digits.count) > 0 else { throw .sandbox }
        let pages = digits.prefix { 48...57 ~= $0 }.reduce(into: UInt64(0)) { $0 = $0 &* 10 &+ UInt64($1 - 48) }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static func filterCalls(_ descriptor: Int32) throws(WorkerFailure) {
        guard let filter = seccomp_init(SCMP_ACT_KILL_PROCESS) else { throw .sandbox }
        defer { seccomp_release(filter) }
        func allow(_ name: String, when conditions: [scmp_arg_cmp] = []) throws(WorkerFailure) {
            let number = seccomp_syscall_resolve_name(name)
            guard number != __NR_SCMP_ERROR else { throw .sandbox }
            try require(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, UInt32(conditions.count), conditions))
        }
        let isTheSocket = scmp_arg_cmp(arg: 0, op: SCMP_CMP_EQ, datum_a: UInt64(descriptor), datum_b: 0)
        let isNotCode = scmp_arg_cmp(arg: 2, op: SCMP_CMP_MASKED_EQ, datum_a: UInt64(PROT_EXEC), datum_b: 0)
        for name in ["recvfrom", "sendto"] { try allow(name, when: [isTheSocket]) }
        for name in ["mmap", "mprotect"] { try allow(name, when: [isNotCode]) }
        let isToItself = scmp_arg_cmp(arg: 0, op: SCMP_CMP_EQ, datum_a: UInt64(getpid()), datum_b: 0)
        let isAbort = scmp_arg_cmp(arg: 2, op: SCMP_CMP_EQ, datum_a: UInt64(SIGABRT), datum_b: 0)
        try allow("tgkill", when: [isToItself, isAbort])
        for name in allowedCalls + abortCalls { try allow(name) }
        // Last words to standard error, which is closed.
        let isClosed = UInt32(0x0005_0000) | UInt32(EBADF)  // SCMP_ACT_ERRNO(EBADF)
        try require(seccomp_rule_add_array(filter, isClosed, seccomp_syscall_resolve_name("write"), 0, nil))
        try require(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS))
        // For every thread, should a library have started one when it was loaded.
        try require(seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1))
        try require(seccomp_load(filter))
    }

    private static func require(_ result: Int32) throws(WorkerFailure) {
        if result != 0 { throw .sandbox }
    }
}
