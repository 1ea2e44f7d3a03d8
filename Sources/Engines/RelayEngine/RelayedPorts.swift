public import Base
import Synchronization

/// What an allocation relays to its peers by (REQUESTED-TRANSPORT, RFC 8656 section 18.8 and RFC 6062).
public enum RelayedTransport: UInt8, Sendable, BitwiseCopyable {
    case tcp = 6
    case udp = 17
}

/// Which ports of the relay addresses carry a live allocation, per address family and transport, seen by all event
/// loops: one bit a port.
///
/// Peers on our own relay addresses are allowed only where this says live.
public final class RelayedPorts: Sendable {
    public enum State: Equatable, Sendable {
        /// An allocation has it.
        case live
        /// An allocation had it.
        case former
        /// Never one of ours.
        case foreign
    }

    private let live: PortSets
    private let known: PortSets

    public init() {
        live = PortSets()
        known = PortSets()
    }

    public func open(_ port: UInt16, _ family: IPAddress.Family, _ transport: RelayedTransport = .udp) {
        known[family, transport].insert(port)
        live[family, transport].insert(port)
    }

    public func close(_ port: UInt16, _ family: IPAddress.Family, _ transport: RelayedTransport = .udp) {
        live[family, transport].remove(port)
    }

    public func state(
        of port: UInt16, _ family: IPAddress.Family, _ transport: RelayedTransport = .udp
    ) -> State {
        if live[family, transport].contains(port) { return .live }
        return known[family, transport].contains(port) ? .former : .foreign
    }
}

/// One set for each family and transport.
private struct PortSets: Sendable {
    private let v4UDP = PortSet()
    private let v4TCP = PortSet()
    private let v6UDP = PortSet()
    private let v6TCP = PortSet()

    subscript(family: IPAddress.Family, transport: RelayedTransport) -> PortSet {
        switch (family, transport) {
        case (.v4, .udp): v4UDP
        case (.v4, .tcp): v4TCP
        case (.v6, .udp): v6UDP
        case (.v6, .tcp): v6TCP
        }
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
