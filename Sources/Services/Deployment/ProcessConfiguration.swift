package import Base
import ConfigurationFile

/// What every process has: its log, its threads, its end.
package struct ProcessConfiguration: Equatable, Sendable {
    package var logLevel = Logger.Level.info
    /// Threads that wait for sockets; 0: one per processor.
    package var eventLoops = 0
    /// A loop that is in one callback for so long is told of in the log.
    package var loopStallMs: Int64 = 500
    /// Threads that read parts of files that are not in memory, so that no loop waits for a disk.
    package var fileReadThreads = 4
    /// Such reads that may wait for a thread; more fail.
    package var maxWaitingFileReads = 65_536
    /// After SIGTERM, how long what is under way may take to end before it is cut off.
    package var drainTimeoutMs: Int64 = 30_000
    /// How long what was cut off may take to end, before the process ends with status 1.
    package var cancelTimeoutMs: Int64 = 2_000

    package init() {}

    mutating func read(_ section: ConfigurationSection) {
        let levels = Logger.Level.allCases.map(\.name).joined(separator: ", ")
        section.read("log_level", &logLevel, "one of \(levels)", parse: Logger.Level.init(name:), print: \.name)
        section.read("event_loops", &eventLoops, in: 0...256)
        section.read("loop_stall_ms", &loopStallMs, in: 10...60_000)
        section.read("file_read_threads", &fileReadThreads, in: 1...256)
        section.read("max_waiting_file_reads", &maxWaitingFileReads, in: 1...10_000_000)
        section.read("drain_timeout_ms", &drainTimeoutMs, in: 0...3_600_000)
        section.read("cancel_timeout_ms", &cancelTimeoutMs, in: 100...600_000)
    }
}
