import Synchronization

/// A bounded queue between one producer and one consumer: a full queue makes the producer wait.
package final class EventQueue<Element: Sendable>: Sendable {
    private typealias Producer = CheckedContinuation<Void, Never>
    private typealias Consumer = CheckedContinuation<Element?, Never>

    private struct State {
        var elements: [Element] = []
        var hasEnded = false
        var producer: Producer?
        var consumer: Consumer?
    }

    private struct Wakes {
        var producer: Producer?
        var consumer: Consumer?
        var element: Element?

        func resume() {
            consumer?.resume(returning: element)
            producer?.resume()
        }
    }

    private let capacity: Int
    private let state = Mutex(State())

    package init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    /// Returns when there is room for another one. After the end it drops what it is given.
    package func put(_ element: Element) async {
        await withCheckedContinuation { put(element, $0) }
    }

    /// The next element; nil after the end, or when the task is cancelled.
    package func next() async -> Element? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { take($0) }
        } onCancel: {
            releaseConsumer()
        }
    }

    /// What is queued can still be taken; then comes nil.
    package func end() {
        let wakes = state.withLock { state -> Wakes in
            state.hasEnded = true
            defer {
                state.consumer = nil
                state.producer = nil
            }
            return Wakes(producer: state.producer, consumer: state.consumer)
        }
        wakes.resume()
    }

    private func put(_ element: Element, _ continuation: Producer) {
        let wakes = state.withLock { state -> Wakes in
            if state.hasEnded { return Wakes(producer: continuation) }
            if let consumer = state.consumer {
                state.consumer = nil
                return Wakes(producer: continuation, consumer: consumer, element: element)
            }
            state.elements.append(element)
            if state.elements.count < capacity { return Wakes(producer: continuation) }
            precondition(state.producer == nil, "one producer at a time")
            state.producer = continuation
            return Wakes()
        }
        wakes.resume()
    }

    private func take(_ continuation: Consumer) {
        let wakes = state.withLock { state -> Wakes in
            if !state.elements.isEmpty {
                defer { state.producer = nil }
                return Wakes(producer: state.producer, consumer: continuation, element: state.elements.removeFirst())
            }
            if state.hasEnded || Task.isCancelled { return Wakes(consumer: continuation) }
            precondition(state.consumer == nil, "one consumer at a time")
            state.consumer = continuation
            return Wakes()
        }
        wakes.resume()
    }

    private func releaseConsumer() {
        let wakes = state.withLock { state -> Wakes in
            defer { state.consumer = nil }
            return Wakes(consumer: state.consumer)
        }
        wakes.resume()
    }
}
