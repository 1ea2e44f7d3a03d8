import Base
import Glibc
import Synchronization
import Testing

@testable import Runtime

/// What one kind of work may keep the others from, and what is left behind.
@Suite(.timeLimit(.minutes(1))) struct EventLoopFairnessTests {
    /// A socket that is readable from the start, and a closure that is called when the loop tells of it.
    private final class Readable: DescriptorHandler, @unchecked Sendable {  // used on one loop alone
        let ends: (read: Int32, write: Int32)
        private let onReady: (Readable) -> Void
        private(set) var registration: Registration?

        init(on loop: EventLoop, onReady: @escaping (Readable) -> Void) throws {
            var pair: [Int32] = [0, 0]
            let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else { throw SystemError("socketpair") }
            ends = (pair[0], pair[1])
            self.onReady = onReady
            _ = write(ends.write, [1], 1)
            registration = try loop.register(ends.read, [.readable], self)
        }

        func descriptorIsReady(_ readiness: Readiness) { onReady(self) }

        func close(on loop: EventLoop) {
            if let registration { loop.deregister(registration) }
            registration = nil
            Glibc.close(ends.read)
            Glibc.close(ends.write)
        }
    }

    private func onLoop<Value: Sendable>(
        _ body: @escaping @Sendable (EventLoop, @escaping @Sendable (Value) -> Void) throws -> Void
    ) async throws -> Value {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let value: Result<Value, any Error> = await withCheckedContinuation { done in
            loop.execute {
                do { try body(loop) { done.resume(returning: .success($0)) } } catch {
                    done.resume(returning: .failure(error))
                }
            }
        }
        group.shutdown()
        return try value.get()
    }

    @Test func `a flood of jobs lets sockets and timers have their turn`() async throws {
        let seen: [Int] = try await onLoop { loop, done in
            nonisolated(unsafe) var ran = 0
            nonisolated(unsafe) var seen: [Int] = []
            let note = {
                seen.append(ran)
                if seen.count == 2 { done(seen) }
            }
            _ = try Readable(on: loop) { readable in
                readable.close(on: loop)
                note()
            }
            loop.schedule(after: .zero) { note() }
            for _ in 0..<100_000 { loop.execute { ran += 1 } }
            // The timer is due at the next tick: not before the first batch ends.
            usleep(2000)
        }
        for ran in seen { #expect(ran <= 2 * EventLoop.maxWorkPerIteration) }
    }

    @Test func `a flood of timers lets sockets and jobs have their turn`() async throws {
        let fired: Int = try await onLoop { loop, done in
            nonisolated(unsafe) var fired = 0
            for _ in 0..<100_000 { loop.schedule(after: .zero) { fired += 1 } }
            usleep(2000)
            nonisolated(unsafe) var jobs = 0
            @Sendable func again() {
                jobs += 1
                if jobs == 10 { done(fired) } else { loop.execute { again() } }
            }
            loop.execute { again() }
        }
        #expect(fired <= 12 * EventLoop.maxWorkPerIteration)
    }

    @Test func `descriptors that are always ready let jobs and timers have their turn`() async throws {
        let turns: [Int] = try await onLoop { loop, done in
            nonisolated(unsafe) var ready = 0
            nonisolated(unsafe) var turns: [Int] = []
            // Two times as many as one wait tells of; none is ever read.
            let flood = try (0..<512).map { _ in try Readable(on: loop) { _ in ready += 1 } }
            let note = { @Sendable in
                turns.append(ready)
                guard turns.count == 2 else { return }
                for readable in flood { readable.close(on: loop) }
                done(turns)
            }
            loop.execute { note() }
            loop.schedule(after: .zero) { note() }
            usleep(2000)
        }
        for ready in turns { #expect(ready <= 2 * 256) }
    }

    @Test func `many threads that flood and pause lose no wake-up and no order`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        nonisolated(unsafe) var last = [Int](repeating: -1, count: 16)
        nonisolated(unsafe) var isOrdered = true
        let count = Counter()
        await withTaskGroup(of: Void.self) { tasks in
            for thread in 0..<16 {
                tasks.addTask {
                    var random = SystemRandomNumberGenerator()
                    for index in 0..<5000 {
                        let isTaken = loop.execute {
                            if last[thread] != index - 1 { isOrdered = false }
                            last[thread] = index
                            count.increment()
                        }
                        #expect(isTaken)
                        // The loop goes to sleep between some of them: that is where a wake-up could be lost.
                        if UInt8.random(in: 0..<64, using: &random) == 0 {
                            let awaited = count.value
                            while count.value < awaited { await Task.yield() }
                            usleep(200)
                        }
                    }
                }
            }
        }
        while count.value < 80_000 { await Task.yield() }
        await loop.spawn { #expect(isOrdered) }.value
        group.shutdown()
    }

    @Test func `an event of a descriptor that was closed meanwhile does not reach its successor`() async throws {
        let heard: [String] = try await onLoop { loop, done in
            nonisolated(unsafe) var heard: [String] = []
            nonisolated(unsafe) var pair: [Readable] = []
            // Whichever of the two the loop tells first closes the other, whose number and slot go to a third.
            let first = { (readable: Readable) in
                heard.append("first")
                for other in pair where other !== readable {
                    let number = other.ends.read
                    other.close(on: loop)
                    let third = try? Readable(on: loop) { third in
                        heard.append("third")
                        third.close(on: loop)
                        done(heard)
                    }
                    if third?.ends.read != number { heard.append("another number") }
                    // Whatever it hears in this iteration is meant for the one that is closed.
                    var byte: UInt8 = 0
                    _ = read(third?.ends.read ?? -1, &byte, 1)
                    let iteration = loop.counters.iterations.value
                    loop.execute {
                        if loop.counters.iterations.value != iteration { heard.append("late") }
                        heard.append("end of the iteration")
                        _ = write(third?.ends.write ?? -1, [1], 1)
                    }
                }
                readable.close(on: loop)
            }
            pair = [try Readable(on: loop, onReady: first), try Readable(on: loop, onReady: first)]
        }
        #expect(heard == ["first", "end of the iteration", "third"])
    }

    @Test func `what was submitted before the end runs, what comes later is refused`() async throws {
        for _ in 0..<50 {
            let group = try EventLoopGroup(count: 1, name: "test")
            let loop = group.loops[0]
            let count = Counter()
            for _ in 0..<3000 { loop.execute { count.increment() } }
            group.shutdown()
            #expect(count.value == 3000)
            #expect(!loop.execute { count.increment() })
            #expect(count.value == 3000)
        }
    }

    @Test func `a cancelled sleep leaves no timer behind`() async throws {
        let group = try EventLoopGroup(count: 2, name: "test")
        let loop = group.loops[0]
        // On the loop itself, and from another.
        for home in group.loops {
            let tasks = (0..<100).map { _ in
                Task(executorPreference: home) { try? await loop.sleep(for: .seconds(3600)) }
            }
            await home.spawn {}.value
            for task in tasks { task.cancel() }
            for task in tasks { await task.value }
            // Behind the cancellations, which go to the loop.
            let left = await Task(executorPreference: loop) { loop.pendingTimerCount }.value
            #expect(left == 0)
        }
        group.shutdown()
    }

    @Test func `the loop counts what it does`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let metrics = MetricsRegistry()
        group.register(in: metrics)
        await loop.spawn {}.value
        _ = loop.counters.takeLongestCallback()
        try await Task(executorPreference: loop) {
            usleep(20_000)
            try await loop.sleep(for: .milliseconds(1))
        }.value
        #expect(loop.counters.iterations.value > 1)
        #expect(loop.counters.events.value > 1)
        #expect(loop.counters.jobs.value >= 2)
        #expect(loop.counters.timers.value == 1)
        let text = metrics.render()
        #expect(text.contains("skerry_loop_timers_total{loop=\"0\"} 1\n"))
        let lines = text.split(separator: "\n")
        let longest = lines.first { $0.hasPrefix("skerry_loop_longest_callback_seconds{") }
        let seconds = try #require(longest?.split(separator: " ").last.flatMap { Double($0) })
        #expect(seconds >= 0.0199 && seconds < 10)
        // Reading it begins a new count, which is nothing once the last job has ended.
        while loop.counters.takeLongestCallback() > .zero { await Task.yield() }
        group.shutdown()
    }
}

@Suite(.timeLimit(.minutes(1))) struct LoopWatchdogTests {
    private final class Blocking: DescriptorHandler, @unchecked Sendable {  // used on one loop alone
        private let gate: BlockingGate

        init(_ gate: BlockingGate) { self.gate = gate }

        func descriptorIsReady(_ readiness: Readiness) { gate.wait() }
    }

    private final class Sink: LogSink {
        private let records = Mutex<[LogRecord]>([])
        var all: [LogRecord] { records.withLock { $0 } }

        func write(_ record: LogRecord) { records.withLock { $0.append(record) } }

        func next(_ count: Int) async { while all.count < count { await Task.yield() } }
    }

    @Test(arguments: ["job", "timer", "descriptor"])
    func `a loop that is stuck is told of once, with what it does`(kind: String) async throws {
        let group = try EventLoopGroup(count: 2, name: "test")
        let loop = group.loops[1]
        let sink = Sink()
        group.watch(threshold: .milliseconds(40), logger: Logger(label: "test", sink: sink))
        for round in 1...2 {
            let gate = BlockingGate()
            loop.execute {
                switch kind {
                case "job": gate.wait()
                case "timer": loop.schedule(after: .milliseconds(1)) { gate.wait() }
                default:
                    var pair: [Int32] = [0, 0]
                    #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
                    let registration = try? loop.register(pair[0], [.writable], Blocking(gate))
                    loop.schedule(after: .milliseconds(1)) {
                        if let registration { loop.deregister(registration) }
                        for end in pair { close(end) }
                    }
                }
            }
            await sink.next(round)
            // Several looks later it is still one stall.
            usleep(100_000)
            gate.open()
            await loop.spawn {}.value
            #expect(sink.all.count == round)
            #expect(loop.counters.stalls.value == UInt64(round))
        }
        #expect(group.loops[0].counters.stalls.value == 0)
        for record in sink.all {
            let metadata = Dictionary(record.metadata.map { ($0.key, $0.value) }) { $1 }
            #expect(metadata["loop"] == "test-1")
            #expect(metadata["for_at_least_ms"].flatMap { Int($0) }.map { $0 >= 40 } == true)
            #expect(metadata["work"]?.contains(kind == "descriptor" ? "Blocking" : kind) == true)
        }
        group.shutdown()
    }

    @Test func `a busy loop is no stuck one`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let loop = group.loops[0]
        let sink = Sink()
        group.watch(threshold: .milliseconds(300), logger: Logger(label: "test", sink: sink))
        let rounds = Counter()
        @Sendable func again() {
            usleep(5000)
            rounds.increment()
            if rounds.value < 150 { loop.execute { again() } }
        }
        loop.execute { again() }
        while rounds.value < 150 { await Task.yield() }
        #expect(sink.all.isEmpty)
        group.shutdown()
    }
}
