import Base
import CShims
import Synchronization

/// What a loop has done so far. Its own thread counts, by plain stores; any thread may read.
public struct LoopCounters: ~Copyable, Sendable {
    /// A number with one writer, which needs no locked instruction to add to it.
    public struct Count: ~Copyable, Sendable {
        private let number = Atomic<UInt64>(0)

        @inline(__always)
        func add(_ amount: UInt64) {
            number.store(number.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        }

        public var value: UInt64 { number.load(ordering: .relaxed) }
    }

    /// Times around the loop.
    public let iterations = Count()
    /// Descriptors that were ready, the loop's own wake-ups among them.
    public let events = Count()
    /// Jobs of tasks, and closures.
    public let jobs = Count()
    public let timers = Count()
    /// Times that a listener paused because the process had no descriptor left.
    public let acceptPauses = Count()
    /// Callbacks that the watchdog found too long. The watchdog counts these.
    public let stalls = Count()
    let activity = LoopActivity()

    private let longest = Atomic<UInt64>(0)
    private let lastTick = Atomic<UInt64>(0)
    private let epoch: (ticks: UInt64, time: MonotonicInstant)

    init() { epoch = (skerry_ticks(), MonotonicClock.now()) }

    @inline(__always)
    func beginIteration(events count: Int) {
        iterations.add(1)
        events.add(UInt64(count))
        lastTick.store(skerry_ticks(), ordering: .relaxed)
    }

    /// A callback has returned; the next one begins.
    @inline(__always)
    func endCallback() {
        let now = skerry_ticks()
        let ticks = now &- lastTick.load(ordering: .relaxed)
        lastTick.store(now, ordering: .relaxed)
        // A thread that has moved to another processor may see a counter that is a little behind.
        if ticks > longest.load(ordering: .relaxed), ticks < 1 << 62 { longest.store(ticks, ordering: .relaxed) }
    }

    /// The longest callback since this was last asked.
    public func takeLongestCallback() -> Duration {
        let ticks = longest.exchange(0, ordering: .relaxed)
        let passed = skerry_ticks() &- epoch.ticks
        guard passed > 0 else { return .zero }
        let nanosecondsPerTick = Double((MonotonicClock.now() - epoch.time).nanoseconds) / Double(passed)
        return .nanoseconds(Int64(Double(ticks) * nanosecondsPerTick))
    }
}

/// What a loop is doing, in one word that its thread stores before every callback: a number that changes each time, and the
/// kind of work. The watchdog reads it.
struct LoopActivity: ~Copyable, Sendable {
    static let job: UInt = 1
    static let timer: UInt = 2

    private let word = Atomic<UInt64>(0)

    /// The kind of a descriptor's handler: the address of its type, which has at most 48 bits.
    static func kind(of handler: any DescriptorHandler) -> UInt {
        UInt(bitPattern: ObjectIdentifier(type(of: handler as AnyObject)))
    }

    @inline(__always)
    func begin(_ kind: UInt) {
        let next = word.load(ordering: .relaxed) &+ 1 << 48
        word.store(next & ~0xFFFF_FFFF_FFFF | UInt64(kind), ordering: .relaxed)
    }

    /// Nothing until the next `begin`.
    @inline(__always)
    func rest() { begin(0) }

    /// Different for every callback, as far as 65,536 of them can be told apart; nil while the loop waits.
    var current: UInt64? {
        let word = word.load(ordering: .relaxed)
        return word & 0xFFFF_FFFF_FFFF == 0 ? nil : word
    }

    /// What the word says the loop does.
    static func name(_ word: UInt64) -> String {
        switch UInt(word & 0xFFFF_FFFF_FFFF) {
        case job: "a task's job or a closure"
        case timer: "a timer"
        case let type: "descriptor of \(unsafeBitCast(type, to: AnyClass.self))"
        }
    }
}
