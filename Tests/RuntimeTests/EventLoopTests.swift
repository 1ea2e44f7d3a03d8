import Base
import Synchronization
import Testing

@testable import Runtime

@Suite struct TimerWheelTests {
    private func milliseconds(_ value: UInt64) -> MonotonicInstant { MonotonicInstant(nanoseconds: value * 1_000_000) }

    @Test func `a timer further ahead than the wheel reaches waits at its end`() {
        let start = MonotonicInstant(nanoseconds: 12_345_678_901)
        var wheel = TimerWheel(now: start)
        for duration in [Duration.seconds(68_719_476), .seconds(100_000_000), .seconds(9_000_000_000)] {
            let timer = wheel.insert(at: start + duration) {}
            // Not the slot where the wheel stands, whose turn would never be over.
            #expect(wheel.nextDeadline.map { $0 - start > .seconds(60_000_000) } == true)
            wheel.cancel(timer)
        }
    }

    @Test func `timers fire in the order of their deadlines, never early, at most a tick late`() {
        var random = SystemRandomNumberGenerator()
        var wheel = TimerWheel(now: milliseconds(12_345))
        var fired: [(deadline: UInt64, at: UInt64)] = []
        var now: UInt64 = 12_345
        final class Log { var entries: [UInt64] = [] }
        let log = Log()
        var deadlines: [UInt64] = []
        for _ in 0..<5000 {
            let span = UInt64.random(in: 0..<6, using: &random)
            let deadline = now + UInt64.random(in: 1...(1 << (span * 5 + 3)), using: &random)
            deadlines.append(deadline)
            _ = wheel.insert(at: milliseconds(deadline)) { log.entries.append(deadline) }
        }
        var steps = 0
        while wheel.count > 0, steps < 100_000 {
            steps += 1
            let next = wheel.nextDeadline!.nanoseconds / 1_000_000
            now = max(now, next)
            while let body = wheel.popDue(now: milliseconds(now)) {
                body()
                fired.append((log.entries.last!, now))
            }
        }
        #expect(log.entries == deadlines.sorted())
        for (deadline, at) in fired { #expect(at == deadline) }
    }

    @Test func `a late look fires all that is due, in order`() {
        var wheel = TimerWheel(now: milliseconds(0))
        final class Log { var entries: [Int] = [] }
        let log = Log()
        for index in (1...300).reversed() {
            _ = wheel.insert(at: milliseconds(UInt64(index * 7))) { log.entries.append(index) }
        }
        while let body = wheel.popDue(now: milliseconds(1000)) { body() }
        #expect(log.entries == Array(1...142))
        while let body = wheel.popDue(now: milliseconds(1_000_000)) { body() }
        #expect(log.entries == Array(1...300))
    }

    @Test func `a cancelled timer does not fire, and its name is not mistaken for a later one`() {
        var wheel = TimerWheel(now: milliseconds(0))
        final class Log { var entries: [Int] = [] }
        let log = Log()
        let first = wheel.insert(at: milliseconds(5)) { log.entries.append(1) }
        wheel.cancel(first)
        let second = wheel.insert(at: milliseconds(5)) { log.entries.append(2) }
        wheel.cancel(first)
        while let body = wheel.popDue(now: milliseconds(10)) { body() }
        wheel.cancel(second)
        #expect(log.entries == [2])
        #expect(wheel.count == 0 && wheel.nextDeadline == nil)
    }

    @Test func `a million timers`() {
        var wheel = TimerWheel(now: milliseconds(0))
        var names: [TimerID] = []
        for index in 0..<1_000_000 { names.append(wheel.insert(at: milliseconds(UInt64(index % 100_000 + 1))) {}) }
        for name in names where name.index % 2 == 0 { wheel.cancel(name) }
        var count = 0
        while wheel.popDue(now: milliseconds(200_000)) != nil { count += 1 }
        #expect(count == 500_000)
    }
}

@Suite(.timeLimit(.minutes(1))) struct EventLoopTests {
    @Test func `tasks stay on their loop across suspensions`() async throws {
        let group = try EventLoopGroup(count: 2, name: "test")
        let pool = BlockingPool(threads: 2, name: "pool", queueLimit: 10)
        for loop in group.loops {
            await loop.spawn {
                #expect(loop.isCurrent)
                try? await loop.sleep(for: .milliseconds(3))
                #expect(loop.isCurrent)
                let value = try? await pool.run { EventLoop.current == nil }
                #expect(value == true)
                #expect(loop.isCurrent)
                await Task.yield()
                #expect(loop.isCurrent)
            }.value
        }
        pool.shutdown()
        group.shutdown()
    }

    @Test func `no wake-up from other threads is lost`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let count = Counter()
        await withTaskGroup(of: Void.self) { tasks in
            for _ in 0..<4 {
                tasks.addTask { for _ in 0..<20_000 { loop.execute { count.increment() } } }
            }
        }
        await loop.spawn {}.value
        #expect(count.value == 80_000)
        group.shutdown()
    }

    @Test func `a cancelled sleep ends at once`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let cancelled = Mutex(false)
        let task = Task(executorPreference: loop) {
            do { try await loop.sleep(for: .seconds(3600)) } catch {
                cancelled.withLock { $0 = error is CancellationError }
            }
        }
        task.cancel()
        await task.value
        #expect(cancelled.withLock { $0 })
        group.shutdown()
    }

    /// The alarm is set again for a timer that is due earlier, and behind one that was cancelled; a timer far ahead does not keep it.
    @Test func `a loop that sleeps wakes up for the timer that is due next`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let clock = ContinuousClock()
        let elapsed = await clock.measure {
            await loop.spawn {
                loop.schedule(after: .seconds(3600)) {}
                let cancelled = loop.schedule(after: .milliseconds(5)) {}
                loop.cancel(cancelled)
                try? await loop.sleep(for: .milliseconds(40))
                try? await loop.sleep(for: .milliseconds(2))
                let later = Task(executorPreference: loop) { try? await loop.sleep(for: .milliseconds(60)) }
                await Task.yield()
                try? await loop.sleep(for: .milliseconds(3))
                await later.value
            }.value
        }
        #expect(elapsed >= .milliseconds(102) && elapsed < .seconds(30))
        // One for each that fired, one for the cancelled one, those of submitted work, and none in between.
        #expect(loop.counters.iterations.value < 50)
        group.shutdown()
    }

    @Test func `a full queue of blocking work refuses`() async throws {
        let pool = BlockingPool(threads: 1, name: "pool", queueLimit: 1)
        let gate = BlockingGate()
        try pool.submit { gate.wait() }
        await gate.entered()
        try pool.submit {}
        #expect(throws: EdgeError.self) { try pool.submit {} }
        gate.open()
        pool.shutdown()
    }
}

/// Holds a thread of a pool until it is opened.
final class BlockingGate: Sendable {
    private let isOpen = Atomic<Bool>(false)
    private let isEntered = Atomic<Bool>(false)

    func wait() {
        isEntered.store(true, ordering: .releasing)
        while !isOpen.load(ordering: .acquiring) {}
    }

    func entered() async { while !isEntered.load(ordering: .acquiring) { await Task.yield() } }
    func open() { isOpen.store(true, ordering: .releasing) }
}
