public import Base
import CShims
import Synchronization

/// The loops of a process.
public final class EventLoopGroup: Sendable {
    public let loops: [EventLoop]
    /// Reads files that the page cache does not have, for all of the loops.
    public let fileReads: FileReads
    private let turn = Atomic<Int>(0)
    private let watchdog = Mutex<LoopWatchdog?>(nil)

    /// Starts `count` loops; their threads are named for the group.
    public init(count: Int, name: String = "loop", fileReads: FileReads = FileReads()) throws(SystemError) {
        precondition(count > 0)
        self.fileReads = fileReads
        var created: [EventLoop] = []
        for index in 0..<count {
            created.append(try EventLoop(index: index, name: "\(name)-\(index)", fileReads: fileReads))
        }
        loops = created
        for loop in loops { loop.start() }
    }

    /// Processors that this process may use.
    public static var processorCount: Int { Int(skerry_cpu_count()) }

    /// One loop after the other.
    public func next() -> EventLoop {
        loops[abs(turn.wrappingAdd(1, ordering: .relaxed).oldValue % loops.count)]
    }

    /// Warns in the log, once each time, when a loop has been in one callback for longer than the threshold. Costs one thread.
    public func watch(threshold: Duration, logger: Logger) {
        watchdog.withLock { watchdog in
            watchdog?.stop()
            watchdog = LoopWatchdog(loops: loops, threshold: threshold, logger: logger)
        }
    }

    /// Ends every loop and waits for their threads. What was submitted before is run; tasks that wait on a loop are never
    /// resumed, and `EventLoop.execute` says no from then on.
    public func shutdown() {
        watchdog.withLock { watchdog in
            watchdog?.stop()
            watchdog = nil
        }
        fileReads.shutdown()
        for loop in loops { loop.stop() }
    }
}
