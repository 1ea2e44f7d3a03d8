public import Base
import CShims
import Glibc

/// Threads for work that blocks (disk, name resolution, SQLite), so that no event loop does.
///
/// `@unchecked Sendable`: the queue and the flags are used under `mutex` alone.
public final class BlockingPool: @unchecked Sendable {
    private let queueLimit: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    private var head = 0
    private var isShutDown = false
    private var threads: [pthread_t] = []

    /// - Parameter queueLimit: jobs that may wait for a thread; more are refused with `EdgeError.Kind.exhausted`.
    public init(threads count: Int, name: String, queueLimit: Int) {
        precondition(count > 0 && queueLimit > 0)
        self.queueLimit = queueLimit
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        for index in 0..<count {
            let start = ThreadStart(pool: self, name: "\(name)-\(index)")
            var thread = pthread_t()
            let created = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                    skerry_set_thread_name(start.name)
                    start.pool.run()
                    return nil
                }, Unmanaged.passRetained(start).toOpaque())
            precondition(created == 0, "no thread for blocking work")
            threads.append(thread)
        }
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// Runs the body on one of the pool's threads and resumes the caller on its own executor.
    ///
    /// - Throws: what the body throws; `EdgeError` `.exhausted` when the queue is full, `.closed` after the shutdown.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withUnsafeThrowingContinuation { continuation in
            do {
                try submit { continuation.resume(with: Result(catching: body)) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// Runs the body without waiting for it.
    public func submit(_ body: @escaping @Sendable () -> Void) throws(EdgeError) {
        pthread_mutex_lock(mutex)
        let isClosed = isShutDown
        let isFull = queue.count - head >= queueLimit
        if !isClosed && !isFull {
            queue.append(body)
            pthread_cond_signal(condition)
        }
        pthread_mutex_unlock(mutex)
        if isClosed { throw EdgeError(.closed, "the pool is shut down", side: .internal) }
        if isFull {
            throw EdgeError(
                .exhausted, "too much work waits for a thread; try again", side: .internal, isRetryable: true)
        }
    }

    /// Finishes what is queued, then ends the threads and waits for them.
    public func shutdown() {
        pthread_mutex_lock(mutex)
        let ending = isShutDown ? [] : threads
        isShutDown = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
        for thread in ending { pthread_join(thread, nil) }
    }

    private func run() {
        while let job = next() { job() }
    }

    private func next() -> (@Sendable () -> Void)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while head == queue.count {
            if isShutDown { return nil }
            pthread_cond_wait(condition, mutex)
        }
        let job = queue[head]
        // What it holds on to goes with it, not when the queue is tidied.
        queue[head] = {}
        head += 1
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 1024 {
            queue.removeFirst(head)
            head = 0
        }
        return job
    }
}

private final class ThreadStart {
    let pool: BlockingPool
    let name: String

    init(pool: BlockingPool, name: String) {
        self.pool = pool
        self.name = name
    }
}
