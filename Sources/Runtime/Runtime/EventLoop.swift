public import Base
import CShims
import Glibc
import Synchronization

/// What a loop tells about a descriptor. Called on the loop's thread.
public protocol DescriptorHandler: AnyObject {
    func descriptorIsReady(_ readiness: Readiness)
}

public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let readable = Readiness(rawValue: SKERRY_EPOLLIN)
    public static let writable = Readiness(rawValue: SKERRY_EPOLLOUT)
    public static let error = Readiness(rawValue: SKERRY_EPOLLERR)
    public static let hangUp = Readiness(rawValue: SKERRY_EPOLLHUP)
    /// Report changes only, once each: the handler goes on until the descriptor would block.
    public static let edgeTriggered = Readiness(rawValue: 1 << 31)
}

/// A registered descriptor; stale ones are recognised.
public struct Registration: Sendable {
    let slot: Int
    let generation: UInt32
    let descriptor: Int32
}

/// One thread that waits on epoll: it tells handlers of ready descriptors, fires timers, and runs Swift jobs as a task
/// executor. A task that prefers it resumes on its thread, without a hop between functions that await each other.
///
/// Actors that live on the loop have its `serialExecutor`.
///
/// `@unchecked Sendable`: what other threads may touch is `foreign`, under its lock, and `hasWakeUp`; all else is
/// used on the loop's thread alone, which `preconditionOnLoop` checks at the entries.
public final class EventLoop: TaskExecutor, @unchecked Sendable {
    private enum Work {
        case job(UnownedJob)
        /// A job of an actor that lives on the loop.
        case serialJob(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    private struct Slot {
        var handler: (any DescriptorHandler)?
        var generation: UInt32 = 0
    }

    public let index: Int
    private let name: String
    private let epoll: Int32
    private let wakeUp: Int32
    private let foreign = Mutex<[Work]>([])
    private let hasWakeUp = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private var local: [Work] = []
    private var running: [Work] = []
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var timers: TimerWheel
    private var thread = pthread_t()
    /// For actors whose home is this loop.
    public let serialExecutor = SerialLoopExecutor()
    private var cachedNow: MonotonicInstant
    var spareDatagramArena: DatagramArena?

    /// Times around the loop, and descriptors told of: for the metrics.
    public let iterations = Counter()
    public let eventsHandled = Counter()

    init(index: Int, name: String) throws(SystemError) {
        self.index = index
        self.name = name
        epoll = skerry_epoll_create()
        guard epoll >= 0 else { throw SystemError("epoll_create1") }
        wakeUp = skerry_eventfd()
        guard wakeUp >= 0 else { throw SystemError("eventfd") }
        cachedNow = MonotonicClock.now()
        timers = TimerWheel(now: cachedNow)
        let added = skerry_epoll_add(epoll, wakeUp, SKERRY_EPOLLIN, .max)
        guard added == 0 else { throw SystemError("epoll_ctl", -added) }
        serialExecutor.loop = self
    }

    deinit {
        Glibc.close(wakeUp)
        Glibc.close(epoll)
    }

    // MARK: Any thread

    /// The loop that runs on this thread.
    public static var current: EventLoop? {
        skerry_current_loop().map { Unmanaged<EventLoop>.fromOpaque($0).takeUnretainedValue() }
    }

    @inline(__always)
    public var isCurrent: Bool { skerry_current_loop() == Unmanaged.passUnretained(self).toOpaque() }

    @inline(__always)
    public func preconditionOnLoop() { precondition(isCurrent, "not on the event loop that owns this") }

    public func enqueue(_ job: consuming ExecutorJob) { submit(.job(UnownedJob(job))) }

    fileprivate func enqueueSerially(_ job: consuming ExecutorJob) { submit(.serialJob(UnownedJob(job))) }

    /// Runs the closure on the loop's thread, after what was submitted before.
    public func execute(_ work: @escaping @Sendable () -> Void) { submit(.closure(work)) }

    /// Starts a task that runs on this loop wherever nothing else is said.
    @discardableResult
    public func spawn(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: self, operation: body)
    }

    private func submit(_ work: Work) {
        if isCurrent {
            local.append(work)
            return
        }
        foreign.withLock { $0.append(work) }
        // The loop clears the flag before it looks into the queue, so a wake-up is never lost.
        if !hasWakeUp.exchange(true, ordering: .acquiringAndReleasing) {
            var one: UInt64 = 1
            _ = Glibc.write(wakeUp, &one, 8)
        }
    }

    // MARK: On the loop

    /// The time at which this iteration began; away from the loop, the time.
    public var now: MonotonicInstant { isCurrent ? cachedNow : MonotonicClock.now() }

    /// Calls the body after the duration, never early, at most a millisecond late on an idle loop.
    @discardableResult
    public func schedule(after duration: Duration, _ body: @escaping () -> Void) -> TimerID {
        schedule(at: MonotonicClock.now() + duration, body)
    }

    @discardableResult
    public func schedule(at deadline: MonotonicInstant, _ body: @escaping () -> Void) -> TimerID {
        preconditionOnLoop()
        return timers.insert(at: deadline, body)
    }

    /// Does nothing for a timer that has fired.
    public func cancel(_ timer: TimerID) {
        preconditionOnLoop()
        timers.cancel(timer)
    }

    /// Watches a descriptor until `deregister`. The loop keeps the handler alive.
    public func register(
        _ descriptor: Int32, _ readiness: Readiness, _ handler: any DescriptorHandler
    ) throws(SystemError) -> Registration {
        preconditionOnLoop()
        let slot: Int
        if let reused = freeSlots.popLast() {
            slot = reused
        } else {
            slot = slots.count
            slots.append(Slot())
        }
        slots[slot].handler = handler
        let registration = Registration(slot: slot, generation: slots[slot].generation, descriptor: descriptor)
        let added = skerry_epoll_add(epoll, descriptor, readiness.rawValue, Self.tag(registration))
        guard added == 0 else {
            release(registration)
            throw SystemError("epoll_ctl", -added)
        }
        return registration
    }

    public func modify(_ registration: Registration, _ readiness: Readiness) {
        preconditionOnLoop()
        let done = skerry_epoll_modify(epoll, registration.descriptor, readiness.rawValue, Self.tag(registration))
        precondition(done == 0, "epoll_ctl refused a registered descriptor")
    }

    /// Ends the watch; events of it that are still pending are dropped. Must come before the descriptor is closed.
    public func deregister(_ registration: Registration) {
        preconditionOnLoop()
        guard slots[registration.slot].generation == registration.generation else { return }
        _ = skerry_epoll_remove(epoll, registration.descriptor)
        release(registration)
    }

    private func release(_ registration: Registration) {
        slots[registration.slot].handler = nil
        slots[registration.slot].generation &+= 1
        freeSlots.append(registration.slot)
    }

    private static func tag(_ registration: Registration) -> UInt64 {
        UInt64(registration.generation) << 32 | UInt64(UInt32(registration.slot))
    }

    // MARK: The thread

    func start() {
        let loop = Unmanaged.passRetained(self).toOpaque()
        let created = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let loop = Unmanaged<EventLoop>.fromOpaque(argument).takeRetainedValue()
                skerry_set_current_loop(argument)
                skerry_set_thread_name(loop.name)
                loop.run()
                skerry_set_current_loop(nil)
                return nil
            }, loop)
        precondition(created == 0, "no thread for an event loop")
    }

    /// Ends the loop after its current iteration; must not be called on it. Waits for the thread.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        execute {}
        pthread_join(thread, nil)
    }

    private func run() {
        let events = UnsafeMutablePointer<skerry_event>.allocate(capacity: 256)
        defer { events.deallocate() }
        while !isStopping.load(ordering: .acquiring) {
            let count = skerry_epoll_wait(epoll, events, 256, waitNanoseconds())
            precondition(count >= 0, "epoll_pwait2 failed")
            cachedNow = MonotonicClock.now()
            iterations.increment()
            eventsHandled.increment(by: UInt64(count))
            for position in 0..<Int(count) { dispatch(events[position]) }
            runSubmitted()
            // After what has arrived was looked at: a process that was stopped for a while must not give up peers who have answered.
            while let body = timers.popDue(now: cachedNow) { body() }
        }
    }

    private func waitNanoseconds() -> Int64 {
        if !local.isEmpty { return 0 }
        guard let deadline = timers.nextDeadline else { return -1 }
        return max(0, (deadline - MonotonicClock.now()).nanoseconds)
    }

    private func dispatch(_ event: skerry_event) {
        if event.data == .max {
            var drained: UInt64 = 0
            _ = Glibc.read(wakeUp, &drained, 8)
            return
        }
        let slot = Int(event.data & 0xFFFF_FFFF)
        // An event of a descriptor that was closed earlier in this batch; its number may be another's by now.
        guard slot < slots.count, slots[slot].generation == UInt32(event.data >> 32), let handler = slots[slot].handler
        else { return }
        handler.descriptorIsReady(Readiness(rawValue: event.events))
    }

    /// Runs what was submitted until now; what that submits waits for the next iteration, so that sockets get their turn.
    private func runSubmitted() {
        swap(&local, &running)
        if hasWakeUp.exchange(false, ordering: .acquiringAndReleasing) {
            foreign.withLock { queue in
                running.append(contentsOf: queue)
                queue.removeAll(keepingCapacity: true)
            }
        }
        for work in running {
            switch work {
            case .job(let job): job.runSynchronously(on: asUnownedTaskExecutor())
            case .serialJob(let job):
                job.runSynchronously(
                    isolatedTo: serialExecutor.asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            case .closure(let closure): closure()
            }
        }
        running.removeAll(keepingCapacity: true)
    }
}

/// A loop as the executor of actors. It is another than the task executor because a job does not say through which of the two it
/// came, and one that is run as an actor's is queued again at every hop to code that is not.
///
/// `@unchecked Sendable`: `loop`, which owns the executor, is set once, before anything else can see it.
public final class SerialLoopExecutor: SerialExecutor, @unchecked Sendable {
    fileprivate unowned var loop: EventLoop?

    fileprivate init() {}

    public func enqueue(_ job: consuming ExecutorJob) { loop?.enqueueSerially(job) }

    public func checkIsolated() { precondition(loop?.isCurrent == true, "not on the event loop that owns this") }
}

/// The loops of a process.
public final class EventLoopGroup: Sendable {
    public let loops: [EventLoop]
    private let turn = Atomic<Int>(0)

    /// Starts `count` loops; their threads are named for the group.
    public init(count: Int, name: String = "loop") throws(SystemError) {
        precondition(count > 0)
        var created: [EventLoop] = []
        for index in 0..<count { created.append(try EventLoop(index: index, name: "\(name)-\(index)")) }
        loops = created
        for loop in loops { loop.start() }
    }

    /// Processors that this process may use.
    public static var processorCount: Int { Int(skerry_cpu_count()) }

    /// One loop after the other.
    public func next() -> EventLoop {
        loops[abs(turn.wrappingAdd(1, ordering: .relaxed).oldValue % loops.count)]
    }

    /// Ends every loop and waits for their threads; what was waiting on them is never resumed.
    public func shutdown() {
        for loop in loops { loop.stop() }
    }
}
