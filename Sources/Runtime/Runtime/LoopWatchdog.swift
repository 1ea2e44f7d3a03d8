import Base
import CShims
import Glibc

/// A thread that notices when a loop stays in one callback: it looks a few times in the threshold, and warns once per stall.
final class LoopWatchdog: Sendable {
    private let loops: [EventLoop]
    private let threshold: Duration
    private let logger: Logger
    private let wakeUp: Int32
    nonisolated(unsafe) private var thread = pthread_t()  // set once, before anything else can see it

    private struct Watch {
        var word: UInt64?
        var iterations: UInt64 = 0
        var duration = Duration.zero
        var isReported = false
    }

    init?(loops: [EventLoop], threshold: Duration, logger: Logger) {
        precondition(threshold > .zero)
        self.loops = loops
        self.threshold = threshold
        self.logger = logger
        wakeUp = skerry_eventfd()
        guard wakeUp >= 0 else { return nil }
        let created = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                skerry_set_thread_name("loop-watchdog")
                Unmanaged<LoopWatchdog>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(created == 0, "no thread for the watchdog of event loops")
    }

    deinit { Glibc.close(wakeUp) }

    /// Waits for the thread.
    func stop() {
        var one: UInt64 = 1
        _ = Glibc.write(wakeUp, &one, 8)
        pthread_join(thread, nil)
    }

    private func run() {
        var watches = loops.map { _ in Watch() }
        let interval = max(Duration.milliseconds(1), threshold / 4)
        var last = MonotonicClock.now()
        var poll = pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)
        while Glibc.poll(&poll, 1, Int32(clamping: interval.milliseconds)) <= 0 {
            let now = MonotonicClock.now()
            // A process that was stopped for a while has not been busy: no look counts for more than two intervals.
            let passed = min(now - last, interval * 2)
            last = now
            for index in loops.indices { look(at: loops[index], &watches[index], passed) }
        }
    }

    private func look(at loop: EventLoop, _ watch: inout Watch, _ passed: Duration) {
        let word = loop.counters.activity.current
        let iterations = loop.counters.iterations.value
        guard let word, word == watch.word, iterations == watch.iterations else {
            watch = Watch(word: word, iterations: iterations)
            return
        }
        watch.duration += passed
        guard watch.duration >= threshold, !watch.isReported else { return }
        watch.isReported = true
        loop.counters.stalls.add(1)
        logger.warning(
            "an event loop is stuck in one callback",
            metadata: [
                "loop": loop.name, "for_at_least_ms": "\(watch.duration.milliseconds)",
                "work": LoopActivity.name(word),
            ])
    }
}
