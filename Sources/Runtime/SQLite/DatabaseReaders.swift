package import Base
import Synchronization

/// A few read-only connections, each on a thread of its own. A closure sees one snapshot of what is committed.
package final class DatabaseReaders: Sendable {
    package struct Configuration: Equatable, Sendable {
        package var threads = 2
        /// Closures that may wait; above it a read is refused as `exhausted`.
        package var maxQueuedReads = 16_384
        package var busyTimeoutMs = 5000

        package init() {}
    }

    private typealias Read = @Sendable (Database) -> Void
    private let queue: WorkQueue<Read>
    private let threads: [WorkerThread]
    private let isJoined = Atomic<Bool>(false)

    /// The file must exist: a `DatabaseWriter` has created it.
    package init(path: String, configuration: Configuration = Configuration()) throws {
        let queue = WorkQueue<Read>(
            limit: configuration.maxQueuedReads, isFull: "too many reads wait for the database")
        self.queue = queue
        threads = try (0..<max(1, configuration.threads)).map { _ in
            let connection = ReadConnection(
                database: try Database(path: path, mode: .readOnly, busyTimeoutMs: configuration.busyTimeoutMs))
            return WorkerThread {
                while let read = queue.take(upTo: 1)?.first { read(connection.database) }
            }
        }
    }

    deinit { close() }

    /// Queues a read. `completion` runs on the reader's thread: it must not block.
    ///
    /// - Throws: `EdgeError.exhausted` if the queue is full, `closed` after `close()`; the closure then never runs.
    package func submit<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value,
        completion: @escaping @Sendable (Result<Value, EdgeError>) -> Void
    ) throws(EdgeError) {
        try queue.put { database in
            let result: Result<Value, EdgeError>
            do {
                try database.execute("BEGIN")
                defer { try? database.execute("ROLLBACK") }
                result = .success(try body(database))
            } catch {
                result = .failure(edgeError(error))
            }
            completion(result)
        }
    }

    package func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try submit(body) { continuation.resume(with: $0) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// Finishes what is queued and ends the threads.
    package func close() {
        queue.close()
        guard !isJoined.exchange(true, ordering: .acquiringAndReleasing) else { return }
        for thread in threads { thread.join() }
    }
}

/// `@unchecked Sendable`: made by one thread, then used by one reader's thread alone.
private final class ReadConnection: @unchecked Sendable {
    let database: Database

    init(database: Database) { self.database = database }
}
