import Glibc

/// How long the processors of this machine have worked so far, and this process with those that it started and that have ended.
package struct ProcessorTime {
    package let all: UInt64
    package let own: UInt64
    package let monotonicNs: UInt64

    /// Nanoseconds; those of the machine in ticks of 10 ms.
    package static func now() -> ProcessorTime {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage)
        let children = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)
        // user nice system idle iowait irq softirq steal
        let fields = (ServerProcess.contents(of: "/proc/stat") ?? "").prefix { $0 != "\n" }.split(separator: " ")
        let ticks = fields.enumerated().reduce(UInt64(0)) { sum, field in
            [1, 2, 3, 6, 7, 8].contains(field.offset) ? sum + (UInt64(field.element) ?? 0) : sum
        }
        let perSecond = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        return ProcessorTime(
            all: ticks * (1_000_000_000 / perSecond), own: nanoseconds(CLOCK_PROCESS_CPUTIME_ID) + children,
            monotonicNs: nanoseconds(CLOCK_MONOTONIC))
    }

    private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func nanoseconds(_ time: timeval) -> UInt64 {
        UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1000
    }
}
