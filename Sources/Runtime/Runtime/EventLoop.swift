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
    /// The other side has ended its sending; told together with `readable`.
    public static let peerEnded = Readiness(rawValue: SKERRY_EPOLLRDHUP)
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
        /// The handler's type, for the watchdog.
        var kind: UInt = 0
        var generation: UInt32 = 0
    }

    /// What other threads submit.
    private struct Foreign {
        var work: [Work] = []
        var isClosed = false
    }

    /// Of one kind of work in an iteration, so that a flood of one does not starve the others: what is left waits for the
    /// next, which does not sleep. Descriptors have the limit of one `epoll_wait`.
    static let maxWorkPerIteration = 1024

    public let index: Int
    public let name: String
    private let epoll: Int32
    private let wakeUp: Int32
    /// Ends a wait when the next timer is due. A timeout of the wait itself would be set up and taken down with every wait.
    private let alarm: Int32
    private var alarmAt = MonotonicInstant(nanoseconds: .max)
    private let foreign = Mutex(Foreign())
    private let hasWakeUp = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private var local: [Work] = []
    /// The batch that is being run, from `nextRunning` on.
    private var running: [Work] = []
    private var nextRunning = 0
    private var hasEnded = false
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var waitingForDescriptor: [() -> Void] = []
    private var timers: TimerWheel
    private var thread = pthread_t()
    /// For actors whose home is this loop.
    public let serialExecutor = SerialLoopExecutor()
    private var cachedNow: MonotonicInstant
    let receiveBlocks = ReceiveBlocks()
    let datagramArena = DatagramArena()
    /// Of the loop's group.
    package let fileReads: FileReads
    var sharedTLSScratch: TLSScratch?
    let datagramOutbox = DatagramOutbox()
    /// Those that something was posted on in this iteration.
    var streamsToFlush: [ByteStream] = []

    /// What the loop has done so far.
    public let counters = LoopCounters()

    init(index: Int, name: String, fileReads: FileReads) throws(SystemError) {
        self.index = index
        self.fileReads = fileReads
        self.name = name
        epoll = skerry_epoll_create()
        guard epoll >= 0 else { throw SystemError("epoll_create1") }
        wakeUp = skerry_eventfd()
        guard wakeUp >= 0 else { throw SystemError("eventfd") }
        alarm = skerry_timerfd()
        guard alarm >= 0 else { throw SystemError("timerfd_create") }
        cachedNow = MonotonicClock.now()
        timers = TimerWheel(now: cachedNow)
        // Every write, and every time that the alarm goes off, is told of once, so that nobody has to read the number.
        for descriptor in [wakeUp, alarm] {
            let added = skerry_epoll_add(epoll, descriptor, SKERRY_EPOLLIN | Readiness.edgeTriggered.rawValue, .max)
            guard added == 0 else { throw SystemError("epoll_ctl", -added) }
        }
        serialExecutor.loop = self
    }

    deinit {
        Glibc.close(alarm)
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

    /// A job that comes after the loop's end never runs: its task stays where it is.
    public func enqueue(_ job: consuming ExecutorJob) { submit(.job(UnownedJob(job))) }

    func enqueueSerially(_ job: consuming ExecutorJob) { submit(.serialJob(UnownedJob(job))) }

    /// Runs the closure on the loop's thread, after what was submitted before.
    ///
    /// - Returns: false when the loop has ended; the closure is dropped, and never runs. What was submitted before
    ///   `EventLoopGroup.shutdown` was called does run.
    @discardableResult
    public func execute(_ work: @escaping @Sendable () -> Void) -> Bool { submit(.closure(work)) }

    /// Starts a task that runs on this loop wherever nothing else is said.
    @discardableResult
    public func spawn(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: self, operation: body)
    }

    @discardableResult
    private func submit(_ work: Work) -> Bool {
        if isCurrent {
            if !hasEnded { local.append(work) }
            return !hasEnded
        }
        let isTaken = foreign.withLock { foreign in
            if !foreign.isClosed { foreign.work.append(work) }
            return !foreign.isClosed
        }
        // The loop clears the flag before it looks into the queue, so a wake-up is never lost.
        if isTaken, !hasWakeUp.exchange(true, ordering: .acquiringAndReleasing) {
            var one: UInt64 = 1
            _ = Glibc.write(wakeUp, &one, 8)
        }
        return isTaken
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
        slots[slot].kind = LoopActivity.kind(of: handler)
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
        if !waitingForDescriptor.isEmpty {
            // The descriptor is closed when the caller goes on.
            for waiting in waitingForDescriptor { schedule(at: cachedNow, waiting) }
            waitingForDescriptor = []
        }
    }

    /// Calls the body soon after the next `deregister`, when a descriptor is likely to be free.
    func whenDescriptorIsFree(_ body: @escaping () -> Void) {
        preconditionOnLoop()
        waitingForDescriptor.append(body)
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

    /// Ends the loop when it has run what was submitted until now; must not be called on it. Waits for the thread.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        execute {}
        pthread_join(thread, nil)
    }

    private func run() {
        let events = UnsafeMutablePointer<skerry_event>.allocate(capacity: 256)
        defer { events.deallocate() }
        while !isStopping.load(ordering: .acquiring) {
            counters.activity.rest()
            let count = skerry_epoll_wait(epoll, events, 256, prepareToWait() ? 1 : 0)
            precondition(count >= 0, "epoll_pwait failed")
            cachedNow = MonotonicClock.now()
            counters.beginIteration(events: Int(count))
            for position in 0..<Int(count) { dispatch(events[position]) }
            runSubmitted()
            fireTimers()
            if !streamsToFlush.isEmpty { flushStreams() }
        }
        end()
    }

    /// Runs what was submitted before the end, but not what that submits in turn: it might never end.
    private func end() {
        let last = foreign.withLock { foreign in
            foreign.isClosed = true
            return foreign.work
        }
        running.append(contentsOf: local)
        running.append(contentsOf: last)
        local = []
        hasEnded = true
        while nextRunning < running.count { runNext() }
        running = []
        flushStreams()
        counters.activity.rest()
    }

    /// Whether there is nothing to do until an event comes; the alarm is set to the next timer.
    private func prepareToWait() -> Bool {
        // Work of other threads that an earlier batch kept from being taken had its wake-up already.
        if !local.isEmpty || nextRunning < running.count || hasWakeUp.load(ordering: .relaxed) { return false }
        guard let deadline = timers.nextDeadline else { return true }
        // Timers that the last iteration left.
        if deadline <= cachedNow { return false }
        // An alarm that goes off too early, because its timer was cancelled, costs one iteration.
        if deadline < alarmAt || alarmAt <= cachedNow {
            alarmAt = deadline
            skerry_timerfd_set(alarm, deadline.nanoseconds)
        }
        return true
    }

    private func dispatch(_ event: skerry_event) {
        if event.data == .max { return }
        let slot = Int(event.data & 0xFFFF_FFFF)
        // An event of a descriptor that was closed earlier in this batch; its number may be another's by now.
        guard slot < slots.count, slots[slot].generation == UInt32(event.data >> 32), let handler = slots[slot].handler
        else { return }
        counters.activity.begin(slots[slot].kind)
        handler.descriptorIsReady(Readiness(rawValue: event.events))
        counters.endCallback()
    }

    /// Runs what was submitted until now; what that submits waits for the next iteration, so that sockets get their turn.
    private func runSubmitted() {
        if nextRunning == running.count { takeSubmitted() }
        let end = min(running.count, nextRunning + Self.maxWorkPerIteration)
        guard nextRunning < end else { return }
        counters.jobs.add(UInt64(end - nextRunning))
        while nextRunning < end { runNext() }
    }

    private func takeSubmitted() {
        running.removeAll(keepingCapacity: true)
        nextRunning = 0
        swap(&local, &running)
        if hasWakeUp.load(ordering: .relaxed), hasWakeUp.exchange(false, ordering: .acquiringAndReleasing) {
            foreign.withLock { foreign in
                running.append(contentsOf: foreign.work)
                foreign.work.removeAll(keepingCapacity: true)
            }
        }
    }

    private func runNext() {
        counters.activity.begin(LoopActivity.job)
        let work = running[nextRunning]
        nextRunning += 1
        switch work {
        case .job(let job): job.runSynchronously(on: asUnownedTaskExecutor())
        case .serialJob(let job):
            job.runSynchronously(
                isolatedTo: serialExecutor.asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
        case .closure(let closure):
            // What it holds on to goes with it, not with the batch.
            running[nextRunning - 1] = .closure({})
            closure()
        }
        counters.endCallback()
    }

    /// After what has arrived was looked at: a process that was stopped for a while must not give up peers who have answered.
    private func fireTimers() {
        var fired = 0
        while fired < Self.maxWorkPerIteration, let body = timers.popDue(now: cachedNow) {
            counters.activity.begin(LoopActivity.timer)
            body()
            counters.endCallback()
            fired += 1
        }
        if fired > 0 { counters.timers.add(UInt64(fired)) }
    }

    /// Timers that wait.
    var pendingTimerCount: Int {
        preconditionOnLoop()
        return timers.count
    }
}
