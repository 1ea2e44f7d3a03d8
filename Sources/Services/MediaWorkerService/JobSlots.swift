import Synchronization

/// How many jobs run at once and how many may wait, first come, first served.
final class JobSlots: Sendable {
    private struct State {
        var running = 0
        var waiting: [(id: UInt64, waiter: CheckedContinuation<Void, any Error>)] = []
        var nextID: UInt64 = 0
        var isClosed = false
        var idleWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let maxRunning: Int
    private let maxWaiting: Int
    private let state = Mutex(State())

    init(maxRunning: Int, maxWaiting: Int) {
        precondition(maxRunning > 0 && maxWaiting >= 0)
        self.maxRunning = maxRunning
        self.maxWaiting = maxWaiting
    }

    var running: Int { state.withLock { $0.running } }
    var waiting: Int { state.withLock { $0.waiting.count } }

    /// Waits for a slot. Every return must be followed by one `release`.
    ///
    /// - Throws: `MediaWorkerError.overloaded`, `.closed`, or `CancellationError`.
    func acquire() async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<Void, any Error>) in
                let decision: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.isClosed { return .failure(MediaWorkerError.closed) }
                    if state.running < maxRunning {
                        state.running += 1
                        return .success(())
                    }
                    if state.waiting.count >= maxWaiting { return .failure(MediaWorkerError.overloaded) }
                    state.waiting.append((id, waiter))
                    return nil
                }
                if let decision { waiter.resume(with: decision) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0).waiter }
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    /// Gives the slot to whoever waits longest.
    func release() {
        var next: CheckedContinuation<Void, any Error>?
        var idle: [CheckedContinuation<Void, Never>] = []
        state.withLock { state in
            if !state.waiting.isEmpty {
                // The slot passes on without becoming free, so that nobody can overtake.
                next = state.waiting.removeFirst().waiter
                return
            }
            state.running -= 1
            if state.running == 0 { swap(&idle, &state.idleWaiters) }
        }
        next?.resume()
        for waiter in idle { waiter.resume() }
    }

    /// Refuses what waits and what comes, and returns when nothing runs.
    func close() async {
        let refused = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for (_, waiter) in refused { waiter.resume(throwing: MediaWorkerError.closed) }
        await withCheckedContinuation { waiter in
            let isIdle = state.withLock { state in
                if state.running > 0 { state.idleWaiters.append(waiter) }
                return state.running == 0
            }
            if isIdle { waiter.resume() }
        }
    }
}
