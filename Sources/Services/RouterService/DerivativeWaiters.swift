import Base
import Runtime
import Synchronization

/// Lookups that wait for a derivative to be registered, bounded in number and time.
final class DerivativeWaiters: Sendable {
    struct Key: Hashable, Sendable {
        var tenant: Tenant
        var media: MediaID
        var variant: String
    }

    private struct State {
        var waiting: [UInt64: (key: Key, continuation: CheckedContinuation<Void, Never>?)] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())
    private let limit: Int
    private let loop: EventLoop

    init(limit: Int, loop: EventLoop) {
        self.limit = limit
        self.loop = loop
    }

    /// Enters before the directory is asked, so that no registration between the two is missed.
    ///
    /// - Returns: nil if too many wait.
    func enter(_ key: Key) -> UInt64? {
        state.withLock { state in
            guard state.waiting.count < limit else { return nil }
            state.next += 1
            state.waiting[state.next] = (key, nil)
            return state.next
        }
    }

    func leave(_ id: UInt64) {
        state.withLock { $0.waiting.removeValue(forKey: id) }?.continuation?.resume()
    }

    /// Returns when the derivative may be there, or when the time is over.
    func wait(_ id: UInt64, for duration: Duration) async {
        loop.execute { [self] in loop.schedule(after: duration) { [weak self] in self?.leave(id) } }
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                guard let key = state.waiting[id]?.key else { return true }
                state.waiting[id] = (key, continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    func wake(_ key: Key) {
        for id in state.withLock({ state in state.waiting.filter { $0.value.key == key }.map(\.key) }) { leave(id) }
    }

    func cancelAll() {
        for id in state.withLock({ Array($0.waiting.keys) }) { leave(id) }
    }
}
