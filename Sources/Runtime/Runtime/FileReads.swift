public import Base
import CShims
import Glibc
import Synchronization

/// Keeps event loops from waiting for disks: tells whether the page cache has a part of a file, and has a thread read in what it
/// has not.
///
/// Shared by the loops of a group. Its threads are started with the first read that needs one.
public final class FileReads: Sendable {
    /// Reads that threads did because they would have blocked a loop.
    public let loads = Counter()

    private let threads: Int
    private let maxWaiting: Int
    private let state = Mutex(State.idle)

    private enum State {
        case idle
        case running(BlockingPool)
        case shutDown
    }

    /// - Parameters:
    ///   - threads: how many reads a disk works on at once.
    ///   - maxWaiting: reads that may wait for a thread; more fail.
    public init(threads: Int = 4, maxWaiting: Int = 65_536) {
        self.threads = threads
        self.maxWaiting = maxWaiting
    }

    /// Whether the page cache has the whole range; a range that goes on behind the end of the file is not.
    static func isResident(_ file: Int32, offset: Int64, count: Int) -> Bool {
        let answer = skerry_is_resident(file, offset, count)
        return answer >= 0 ? answer == 1 : samplesAreResident(file, offset: offset, count: count)
    }

    /// Returns when the page cache has the range, or what the file has of it.
    ///
    /// - Throws: as `load`.
    public func makeResident(_ file: Int32, offset: Int64, count: Int) async throws {
        if !Self.isResident(file, offset: offset, count: count) {
            try await load(file, offset: offset, count: count)
        }
    }

    /// Returns when the range has been read in.
    ///
    /// - Throws: `SystemError`, or `EdgeError` `.exhausted` when too many wait.
    func load(_ file: Int32, offset: Int64, count: Int) async throws {
        loads.increment()
        try await runningPool().run { try Self.readIn(file, offset: offset, count: count) }
    }

    /// Ends the threads, behind what they are asked for. Reads after it fail.
    func shutdown() {
        let before = state.withLock { state in
            defer { state = .shutDown }
            return state
        }
        if case .running(let pool) = before { pool.shutdown() }
    }

    private func runningPool() throws -> BlockingPool {
        try state.withLock { state in
            switch state {
            case .running(let pool): return pool
            case .shutDown: throw EdgeError(.closed, "the event loops are shut down", side: .internal)
            case .idle:
                let pool = BlockingPool(threads: threads, name: "disk", queueLimit: maxWaiting)
                state = .running(pool)
                return pool
            }
        }
    }

    private static func readIn(_ file: Int32, offset: Int64, count: Int) throws(SystemError) {
        // The disk begins on what comes behind while this part is on its way.
        posix_fadvise(file, Int(offset), 2 * count, POSIX_FADV_WILLNEED)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: min(count, 128 * 1024), alignment: 4096)
        defer { scratch.deallocate() }
        var done = 0
        while done < count {
            let read = try retryingInterrupts("pread") {
                pread(file, scratch.baseAddress, min(scratch.count, count - done), Int(offset) + done)
            }
            if read == 0 { return }
            done += read
        }
    }

    /// For kernels that do not tell: one byte of every 64 KiB, and the last. The disk is read in longer pieces than that.
    private static func samplesAreResident(_ file: Int32, offset: Int64, count: Int) -> Bool {
        var byte: UInt8 = 0
        for position in stride(from: 0, to: count, by: 64 * 1024)
        where skerry_read_resident(file, &byte, 1, offset + Int64(position)) < 1 { return false }
        return count == 0 || skerry_read_resident(file, &byte, 1, offset + Int64(count) - 1) == 1
    }
}
