import Base
import RouterEngine
import Runtime

/// What happens at a point of wall-clock time: one timer per key on the loop.
///
/// `@unchecked Sendable`: `timers` is touched on the loop alone.
final class Deadlines: @unchecked Sendable {
    enum Key: Hashable, Sendable {
        /// A session's token expires.
        case session(SessionID)
        case calls
        case statuses
        case media
        case sweep
        /// Deleted keys still stand in the write-ahead log.
        case logTruncation
        case outbox
    }

    private struct Armed {
        var at: WallTime
        var timer: TimerID
    }

    /// The wall clock may be set while a timer runs by the monotonic one, so that it is looked at this often.
    private static let maxDelay = Duration.seconds(30)
    private let loop: EventLoop
    private let now: @Sendable () -> WallTime
    private let onDue: @Sendable (Key) -> Void
    private var timers: [Key: Armed] = [:]
    private var isStopped = false

    init(loop: EventLoop, now: @escaping @Sendable () -> WallTime, onDue: @escaping @Sendable (Key) -> Void) {
        self.loop = loop
        self.now = now
        self.onDue = onDue
    }

    /// Sets the key's deadline. From any thread.
    func set(_ key: Key, at time: WallTime) {
        loop.execute { self.arm(key, time) }
    }

    /// Sets the key's deadline unless it has an earlier one.
    func setIfEarlier(_ key: Key, at time: WallTime) {
        loop.execute {
            if let armed = self.timers[key], armed.at <= time { return }
            self.arm(key, time)
        }
    }

    func cancel(_ key: Key) {
        loop.execute { self.disarm(key) }
    }

    /// Looks at the clock now: what is due happens, without its timer.
    func check() {
        loop.execute {
            for (key, armed) in self.timers { self.arm(key, armed.at) }
        }
    }

    func stop() {
        loop.execute {
            self.isStopped = true
            for key in self.timers.keys { self.disarm(key) }
        }
    }

    private func arm(_ key: Key, _ time: WallTime) {
        disarm(key)
        guard !isStopped else { return }
        let delay = time - now()
        guard delay > .zero else { return onDue(key) }
        let timer = loop.schedule(after: min(delay, Self.maxDelay)) { [weak self] in
            guard let self else { return }
            timers[key] = nil
            arm(key, time)
        }
        timers[key] = Armed(at: time, timer: timer)
    }

    private func disarm(_ key: Key) {
        if let armed = timers.removeValue(forKey: key) { loop.cancel(armed.timer) }
    }
}
