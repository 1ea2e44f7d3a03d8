package import Base
import Synchronization

/// The one connection that writes, on a thread of its own, with group commit.
///
/// Closures from any task queue up; the thread runs as many as wait in one transaction, each within a savepoint, so that
/// one that throws undoes only itself, then commits, and only then tells them their results: who is told that a write
/// succeeded may rely on it having reached the disk. Results are told in the order of the queue.
package final class DatabaseWriter: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// Closures that may wait; above it a write is refused as `exhausted`.
        package var maxQueuedWrites = 16_384
        /// Closures committed together at most.
        package var maxWritesPerCommit = 1024
        package var busyTimeoutMs = 5000

        package init() {}
    }

    private let queue: WorkQueue<any PendingWrite>
    private let thread: WorkerThread
    private let isJoined = Atomic<Bool>(false)
    /// How often the writer committed. With `writes` it tells how well commits are shared.
    package let commits = Counter()
    package let writes = Counter()

    /// Opens the file, brings its schema to the newest version and starts the thread.
    package init(path: String, migrations: [Migration], configuration: Configuration = Configuration()) throws {
        let database = try Database(path: path, busyTimeoutMs: configuration.busyTimeoutMs)
        try database.migrate(migrations)
        let queue = WorkQueue<any PendingWrite>(
            limit: configuration.maxQueuedWrites, isFull: "too many writes wait for the disk")
        let loop = CommitLoop(
            database: database, queue: queue, maxWritesPerCommit: configuration.maxWritesPerCommit, commits: commits,
            writes: writes)
        self.queue = queue
        thread = WorkerThread { loop.run() }
    }

    deinit { close() }

    /// Writes that wait for the thread.
    package var queuedWrites: Int { queue.count }

    /// Queues a write. `completion` runs on the writer's thread after the commit, in the order of the queue: it must not block.
    ///
    /// - Throws: `EdgeError.exhausted` if the queue is full, `closed` after `close()`; the closure then never runs.
    package func submit<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value,
        completion: @escaping @Sendable (Result<Value, EdgeError>) -> Void
    ) throws(EdgeError) {
        try queue.put(TransactionalWrite(body: body, completion: completion))
    }

    /// Runs a closure in a transaction and returns its result once that is on the disk.
    @discardableResult
    package func write<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try submit(body) { continuation.resume(with: $0) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// Empties the write-ahead log, after keys were destroyed.
    ///
    /// - Returns: false if a reader still needed it; try again later.
    package func truncateLog() async throws -> Bool {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try queue.put(LogTruncation { continuation.resume(with: $0) })
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// Commits what is queued and ends the thread.
    package func close() {
        queue.close()
        guard !isJoined.exchange(true, ordering: .acquiringAndReleasing) else { return }
        thread.join()
    }
}
