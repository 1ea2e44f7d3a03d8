import Base
import Runtime
import Synchronization

/// Lets one loop of work sleep until there is something to do or a time is over.
final class Wakeup: Sendable {
    private struct State {
        var isSignalled = false
        var waiter: (id: UInt64, continuation: CheckedContinuation<Void, Never>)?
        var waits: UInt64 = 0
    }

    private let state = Mutex(State())

    func signal() {
        let waiter = state.withLock { state in
            guard let waiter = state.waiter else {
                state.isSignalled = true
                return nil as CheckedContinuation<Void, Never>?
            }
            state.waiter = nil
            return waiter.continuation
        }
        waiter?.resume()
    }

    /// Returns when signalled, at once if that was before, or after the duration. One waiter at a time.
    func wait(atMost duration: Duration, on loop: EventLoop) async {
        await withCheckedContinuation { continuation in
            let id = state.withLock { state -> UInt64? in
                if state.isSignalled {
                    state.isSignalled = false
                    return nil
                }
                state.waits += 1
                state.waiter = (state.waits, continuation)
                return state.waits
            }
            guard let id else { return continuation.resume() }
            loop.execute { [self] in
                _ = loop.schedule(after: duration) { [self] in expire(id) }
            }
        }
    }

    private func expire(_ id: UInt64) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let waiter = state.waiter, waiter.id == id else { return nil }
            state.waiter = nil
            return waiter.continuation
        }
        waiter?.resume()
    }
}
