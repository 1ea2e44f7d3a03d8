import Base
import Glibc
import Runtime

/// The usual metrics of a process, by the names that Prometheus' own clients use.
enum ProcessMetrics {
    static func register(in metrics: MetricsRegistry) {
        let start = Double(WallClock.now().milliseconds) / 1000
        metrics.computed("process_start_time_seconds", "When the process started, in seconds since 1970.") { start }
        metrics.computed("process_resident_memory_bytes", "Memory of the process that lies in RAM.", residentBytes)
        metrics.computed("process_open_fds", "Open file descriptors.") {
            Double((try? FileSystem.names(in: "/proc/self/fd"))?.count ?? 0)
        }
        metrics.computed("process_cpu_seconds_total", "Processor time of the process.") {
            var time = timespec()
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
    }

    private static func residentBytes() -> Double {
        var buffer = [UInt8](repeating: 0, count: 128)
        // A file of /proc has no size to go by.
        let count = (try? File("/proc/self/statm", .read))?.readPrefix(into: &buffer) ?? 0
        let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Double(fields[1]) else { return 0 }
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }
}

extension File {
    fileprivate func readPrefix(into buffer: inout [UInt8]) -> Int {
        buffer.withUnsafeMutableBytes { (try? read(into: $0, at: 0)) ?? 0 }
    }
}
