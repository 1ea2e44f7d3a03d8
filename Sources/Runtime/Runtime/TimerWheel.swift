import Base

/// Names a scheduled timer; stale names are recognised.
public struct TimerID: Hashable, Sendable {
    let index: Int32
    let generation: UInt32
}

/// A hierarchical timing wheel: six levels of 64 slots, one millisecond to a tick, 64^6 ms (two years) ahead.
///
/// Inserting and cancelling cost the same for one timer and for a million; a timer moves down at most five levels
/// before it fires. A timer never fires early and at most one tick late.
struct TimerWheel {
    private struct Entry {
        var tick: UInt64 = 0
        var body: (() -> Void)?
        var next: Int32 = -1
        var previous: Int32 = -1
        var list: Int32 = -1
        var generation: UInt32 = 0
    }

    private static let levels = 6
    /// Timers wait at most so many ticks ahead: no whole turn of the highest level, for the slot where that stands is the present.
    private static let horizon: UInt64 = 63 << 30
    private static let tickNanoseconds: UInt64 = 1_000_000

    private var entries: [Entry] = []
    private var free: Int32 = -1
    private var heads = [Int32](repeating: -1, count: levels * 64)
    private var occupied = [UInt64](repeating: 0, count: levels)
    private var elapsed: UInt64
    private(set) var count = 0

    init(now: MonotonicInstant) { elapsed = now.nanoseconds / Self.tickNanoseconds }

    mutating func insert(at deadline: MonotonicInstant, _ body: @escaping () -> Void) -> TimerID {
        let index: Int32
        if free >= 0 {
            index = free
            free = entries[Int(index)].next
        } else {
            index = Int32(entries.count)
            entries.append(Entry())
        }
        let (rounded, overflow) = deadline.nanoseconds.addingReportingOverflow(Self.tickNanoseconds - 1)
        let tick = (overflow ? .max : rounded) / Self.tickNanoseconds
        entries[Int(index)].tick = min(max(tick, elapsed + 1), elapsed + Self.horizon)
        entries[Int(index)].body = body
        link(index)
        count += 1
        return TimerID(index: index, generation: entries[Int(index)].generation)
    }

    /// Does nothing if the timer has fired or was cancelled.
    mutating func cancel(_ timer: TimerID) {
        guard Int(timer.index) < entries.count, entries[Int(timer.index)].generation == timer.generation,
            entries[Int(timer.index)].body != nil
        else { return }
        unlink(timer.index)
        _ = release(timer.index)
    }

    /// When the wheel next has something to do; nil if it is empty. May be earlier than the first timer fires.
    var nextDeadline: MonotonicInstant? {
        nextSlot().map { MonotonicInstant(nanoseconds: $0.tick &* Self.tickNanoseconds) }
    }

    /// Takes out one timer that is due, so that its body can change the wheel; nil when none is due any more.
    mutating func popDue(now: MonotonicInstant) -> (() -> Void)? {
        let target = now.nanoseconds / Self.tickNanoseconds
        while let slot = nextSlot(), slot.tick <= target {
            let list = Int32(slot.level * 64 + slot.index)
            if slot.level == 0 {
                elapsed = max(elapsed, slot.tick == 0 ? 0 : slot.tick - 1)
                let index = heads[Int(list)]
                unlink(index)
                return release(index)
            }
            elapsed = max(elapsed, slot.tick)
            while heads[Int(list)] >= 0 {
                let index = heads[Int(list)]
                unlink(index)
                link(index)
            }
        }
        elapsed = max(elapsed, target)
        return nil
    }

    private mutating func release(_ index: Int32) -> (() -> Void)? {
        let body = entries[Int(index)].body
        entries[Int(index)].body = nil
        entries[Int(index)].generation &+= 1
        entries[Int(index)].next = free
        free = index
        count -= 1
        return body
    }

    private mutating func link(_ index: Int32) {
        let tick = entries[Int(index)].tick
        let distance = (elapsed ^ tick) | 63
        let level = min((63 - distance.leadingZeroBitCount) / 6, Self.levels - 1)
        let slot = Int(tick >> UInt64(level * 6) & 63)
        let list = level * 64 + slot
        entries[Int(index)].list = Int32(list)
        entries[Int(index)].previous = -1
        entries[Int(index)].next = heads[list]
        if heads[list] >= 0 { entries[Int(heads[list])].previous = index }
        heads[list] = index
        occupied[level] |= 1 << UInt64(slot)
    }

    private mutating func unlink(_ index: Int32) {
        let entry = entries[Int(index)]
        let list = Int(entry.list)
        if entry.previous >= 0 {
            entries[Int(entry.previous)].next = entry.next
        } else {
            heads[list] = entry.next
            if entry.next < 0 { occupied[list / 64] &= ~(1 << UInt64(list % 64)) }
        }
        if entry.next >= 0 { entries[Int(entry.next)].previous = entry.previous }
    }

    /// The first occupied slot in time, and the tick at which it is due to fire (level 0) or to be spread downwards.
    private func nextSlot() -> (level: Int, index: Int, tick: UInt64)? {
        for level in 0..<Self.levels where occupied[level] != 0 {
            let shift = UInt64(level * 6)
            let here = Int(elapsed >> shift & 63)
            let rotated = occupied[level] >> UInt64(here) | (here == 0 ? 0 : occupied[level] << UInt64(64 - here))
            let index = (here + rotated.trailingZeroBitCount) & 63
            var tick = ((elapsed >> (shift + 6)) << (shift + 6)) + (UInt64(index) << shift)
            if index < here { tick += 1 << (shift + 6) }
            return (level, index, tick)
        }
        return nil
    }
}
