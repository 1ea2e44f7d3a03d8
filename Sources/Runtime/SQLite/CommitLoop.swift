import Base

/// A write on its way: run in the transaction, told its result after the commit.
protocol PendingWrite: Sendable {
    /// Whether it runs inside the shared transaction. Those that cannot run alone, between transactions.
    var isTransactional: Bool { get }
    /// Returns false if it threw and is to be undone.
    func run(on database: Database) -> Bool
    /// - Parameter failure: why the transaction as a whole failed, if it did.
    func finish(_ failure: EdgeError?)
}

/// A caller's closure with its result.
///
/// `@unchecked Sendable`: `result` is touched by the writer's thread alone.
final class TransactionalWrite<Value: Sendable>: PendingWrite, @unchecked Sendable {
    private let body: @Sendable (Database) throws -> Value
    private let completion: @Sendable (Result<Value, EdgeError>) -> Void
    private var result: Result<Value, EdgeError>?

    init(
        body: @escaping @Sendable (Database) throws -> Value,
        completion: @escaping @Sendable (Result<Value, EdgeError>) -> Void
    ) {
        self.body = body
        self.completion = completion
    }

    var isTransactional: Bool { true }

    func run(on database: Database) -> Bool {
        do {
            result = .success(try body(database))
            return true
        } catch {
            result = .failure(edgeError(error))
            return false
        }
    }

    func finish(_ failure: EdgeError?) {
        if case .failure(let own)? = result { return completion(.failure(own)) }
        if let failure { return completion(.failure(failure)) }
        guard let result else { preconditionFailure("a committed write has run") }
        completion(result)
    }
}

/// `@unchecked Sendable`: `result` is touched by the writer's thread alone.
final class LogTruncation: PendingWrite, @unchecked Sendable {
    private let completion: @Sendable (Result<Bool, EdgeError>) -> Void
    private var result: Result<Bool, EdgeError> = .success(false)

    init(completion: @escaping @Sendable (Result<Bool, EdgeError>) -> Void) { self.completion = completion }

    var isTransactional: Bool { false }

    func run(on database: Database) -> Bool {
        do { result = .success(try database.truncateLog()) } catch { result = .failure(edgeError(error)) }
        return true
    }

    func finish(_ failure: EdgeError?) { completion(result) }
}

/// What the writer's thread does. It alone touches the connection.
///
/// `@unchecked Sendable`: made by one thread, then used by the writer's thread alone.
final class CommitLoop: @unchecked Sendable {
    private let database: Database
    private let queue: WorkQueue<any PendingWrite>
    private let maxWritesPerCommit: Int
    private let commits: Counter
    private let writes: Counter

    init(
        database: Database, queue: WorkQueue<any PendingWrite>, maxWritesPerCommit: Int, commits: Counter,
        writes: Counter
    ) {
        self.database = database
        self.queue = queue
        self.maxWritesPerCommit = maxWritesPerCommit
        self.commits = commits
        self.writes = writes
    }

    func run() {
        while let batch = queue.take(upTo: maxWritesPerCommit) {
            var rest = batch[...]
            while let first = rest.first {
                if first.isTransactional {
                    let group = rest.prefix { $0.isTransactional }
                    commit(group)
                    rest = rest.dropFirst(group.count)
                } else {
                    _ = first.run(on: database)
                    first.finish(nil)
                    rest = rest.dropFirst()
                }
            }
        }
    }

    private func commit(_ group: ArraySlice<any PendingWrite>) {
        var failure: EdgeError?
        do {
            try database.execute("BEGIN IMMEDIATE")
            for write in group { try runInSavepoint(write) }
            try database.execute("COMMIT")
            commits.increment()
            writes.increment(by: UInt64(group.count))
        } catch {
            failure = edgeError(error)
            if database.isInTransaction { try? database.execute("ROLLBACK") }
        }
        for write in group { write.finish(failure) }
    }

    private func runInSavepoint(_ write: any PendingWrite) throws {
        try database.run("SAVEPOINT one")
        if !write.run(on: database) {
            guard database.isInTransaction else {
                throw EdgeError(.io, "the disk failed within a transaction", side: .internal, isRetryable: true)
            }
            try database.run("ROLLBACK TO one")
        }
        try database.run("RELEASE one")
    }
}
