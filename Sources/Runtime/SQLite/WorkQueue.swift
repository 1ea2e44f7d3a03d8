import Base
import Glibc

/// A bounded queue from any thread to the threads that take from it, which sleep while it is empty.
///
/// `@unchecked Sendable`: `mutex` protects every stored property.
final class WorkQueue<Element: Sendable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private let limit: Int
    private let isFull: String
    private var elements: [Element] = []
    private var isClosed = false

    /// - Parameter isFull: what a refused caller is told.
    init(limit: Int, isFull: String) {
        self.limit = limit
        self.isFull = isFull
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    func put(_ element: Element) throws(EdgeError) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { throw EdgeError(.closed, "the database is closed", side: .internal) }
        guard elements.count < limit else {
            throw EdgeError(.exhausted, isFull, side: .internal, isRetryable: true)
        }
        elements.append(element)
        pthread_cond_signal(changed)
    }

    /// Waits for at least one element and takes up to `count`, oldest first; nil once closed and empty.
    func take(upTo count: Int) -> [Element]? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while elements.isEmpty, !isClosed { pthread_cond_wait(changed, mutex) }
        guard !elements.isEmpty else { return nil }
        guard elements.count > count else {
            defer { elements = [] }
            return elements
        }
        let taken = Array(elements.prefix(count))
        elements.removeFirst(count)
        return taken
    }

    /// Refuses new elements; those queued are still taken.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return elements.count
    }
}
