import Base
import Synchronization

extension EventLoop {
    /// Waits on this loop's timer wheel.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled.
    public func sleep(for duration: Duration) async throws {
        let sleeper = Sleeper(loop: self)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                sleeper.start(duration, continuation)
            }
        } onCancel: {
            sleeper.cancel()
        }
    }
}

/// One pending sleep: resumed once, by its timer or by cancellation, whichever comes first.
private final class Sleeper: Sendable {
    private enum State {
        case idle
        case waiting(UnsafeContinuation<Void, any Error>, TimerID?)
        case done
    }

    private let loop: EventLoop
    private let state = Mutex<State>(.idle)

    init(loop: EventLoop) { self.loop = loop }

    func start(_ duration: Duration, _ continuation: UnsafeContinuation<Void, any Error>) {
        let isCancelled = state.withLock { state in
            if case .done = state { return true }
            state = .waiting(continuation, nil)
            return false
        }
        if isCancelled { return continuation.resume(throwing: CancellationError()) }
        if loop.isCurrent {
            arm(duration)
        } else {
            loop.execute { self.arm(duration) }
        }
    }

    private func arm(_ duration: Duration) {
        state.withLock { state in
            guard case .waiting(let continuation, _) = state else { return }
            let timer = loop.schedule(after: duration) { self.take()?.0.resume() }
            state = .waiting(continuation, timer)
        }
    }

    /// Leaves no timer behind.
    func cancel() {
        guard let (continuation, timer) = take() else { return }
        if let timer {
            if loop.isCurrent { loop.cancel(timer) } else { loop.execute { self.loop.cancel(timer) } }
        }
        continuation.resume(throwing: CancellationError())
    }

    private func take() -> (UnsafeContinuation<Void, any Error>, TimerID?)? {
        state.withLock { state in
            defer { state = .done }
            if case .waiting(let continuation, let timer) = state { return (continuation, timer) }
            return nil
        }
    }
}
