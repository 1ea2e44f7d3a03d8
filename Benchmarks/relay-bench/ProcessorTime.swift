import Glibc

/// How long the processors of this machine have worked so far, and this process.
struct ProcessorTime {
    let all: UInt64
    let own: UInt64

    /// Nanoseconds; those of the machine in ticks of 10 ms.
    static func now() -> ProcessorTime {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        // user nice system idle iowait irq softirq steal
        let fields = (ServerProcess.contents(of: "/proc/stat") ?? "").prefix { $0 != "\n" }.split(separator: " ")
        let ticks = fields.enumerated().reduce(UInt64(0)) { sum, field in
            [1, 2, 3, 6, 7, 8].contains(field.offset) ? sum + (UInt64(field.element) ?? 0) : sum
        }
        let perSecond = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        return ProcessorTime(
            all: ticks * (1_000_000_000 / perSecond), own: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}
