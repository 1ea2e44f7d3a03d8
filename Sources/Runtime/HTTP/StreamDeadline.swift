import Base
import Runtime

/// Closes a stream when something on it takes too long. One timer serves many deadlines in a row: setting and lifting one
/// costs a store.
///
/// Used on the stream's loop alone.
final class StreamDeadline {
    private let stream: ByteStream
    private var deadline: MonotonicInstant?
    private var timer: (id: TimerID, firesAt: MonotonicInstant)?

    init(_ stream: ByteStream) {
        self.stream = stream
    }

    /// Replaces the deadline that was set before.
    func set(_ duration: Duration) {
        let wanted = stream.loop.now + duration
        deadline = wanted
        if let timer {
            if timer.firesAt <= wanted { return }
            stream.loop.cancel(timer.id)
        }
        arm(at: wanted)
    }

    func lift() {
        deadline = nil
    }

    /// Ends the timer; must come before the last reference is dropped, else it fires once in vain.
    func cancel() {
        deadline = nil
        if let timer { stream.loop.cancel(timer.id) }
        timer = nil
    }

    private func arm(at instant: MonotonicInstant) {
        let id = stream.loop.schedule(at: instant) { [weak self] in self?.fire() }
        timer = (id, instant)
    }

    private func fire() {
        timer = nil
        guard let deadline else { return }
        if deadline > stream.loop.now {
            arm(at: deadline)
        } else {
            self.deadline = nil
            stream.close(.timedOut)
        }
    }
}
