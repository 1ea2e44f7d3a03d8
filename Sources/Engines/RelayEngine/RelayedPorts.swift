import Synchronization

/// Which ports of the relay address carry a live allocation, seen by all event loops: one bit a port.
///
/// Peers on our own relay address are allowed only where this says live.
public final class RelayedPorts: Sendable {
    public enum State: Equatable, Sendable {
        /// An allocation has it.
        case live
        /// An allocation had it.
        case former
        /// Never one of ours.
        case foreign
    }

    private let live: PortSet
    private let known: PortSet

    public init() {
        live = PortSet()
        known = PortSet()
    }

    public func open(_ port: UInt16) {
        known.insert(port)
        live.insert(port)
    }

    public func close(_ port: UInt16) {
        live.remove(port)
    }

    public func state(of port: UInt16) -> State {
        live.contains(port) ? .live : known.contains(port) ? .former : .foreign
    }
}

/// 65,536 bits.
///
/// Unchecked: the words are atomic, and the pointer never changes.
private final class PortSet: @unchecked Sendable {
    private static let wordCount = 1024
    private let words = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: wordCount)

    init() {
        for index in 0..<Self.wordCount { (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        words.deinitialize(count: Self.wordCount)
        words.deallocate()
    }

    func insert(_ port: UInt16) {
        words[Int(port >> 6)].bitwiseOr(1 << UInt64(port & 63), ordering: .relaxed)
    }

    func remove(_ port: UInt16) {
        words[Int(port >> 6)].bitwiseAnd(~(1 << UInt64(port & 63)), ordering: .relaxed)
    }

    func contains(_ port: UInt16) -> Bool {
        words[Int(port >> 6)].load(ordering: .relaxed) & 1 << UInt64(port & 63) != 0
    }
}
