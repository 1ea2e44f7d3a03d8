public import Base

/// What an allocation relays to its peers by (REQUESTED-TRANSPORT, RFC 8656 section 18.8 and RFC 6062).
public enum RelayedTransport: UInt8, Sendable, BitwiseCopyable {
    case tcp = 6
    case udp = 17
}

/// Which ports of the relay addresses carry a live allocation, per address family and transport, seen by all event
/// loops.
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

    private let sets = PortSets(count: 8)
    /// For whoever keeps this.
    let view: RelayedPortsView

    public init() {
        view = RelayedPortsView(
            v4UDP: (sets[0], sets[1]), v4TCP: (sets[2], sets[3]), v6UDP: (sets[4], sets[5]), v6TCP: (sets[6], sets[7]))
    }

    public func open(_ port: UInt16, _ family: IPAddress.Family, _ transport: RelayedTransport = .udp) {
        let (live, known) = view[family, transport]
        known.insert(port)
        live.insert(port)
    }

    public func close(_ port: UInt16, _ family: IPAddress.Family, _ transport: RelayedTransport = .udp) {
        view[family, transport].live.remove(port)
    }
}

/// What a `RelayedPorts` says, without retaining it: asked for every packet to a peer on this host.
struct RelayedPortsView: Sendable, BitwiseCopyable {
    typealias Sets = (live: PortSet, known: PortSet)

    fileprivate let v4UDP: Sets
    fileprivate let v4TCP: Sets
    fileprivate let v6UDP: Sets
    fileprivate let v6TCP: Sets

    @inline(__always)
    fileprivate subscript(family: IPAddress.Family, transport: RelayedTransport) -> Sets {
        switch (family, transport) {
        case (.v4, .udp): v4UDP
        case (.v4, .tcp): v4TCP
        case (.v6, .udp): v6UDP
        case (.v6, .tcp): v6TCP
        }
    }

    @inline(__always)
    func state(
        of port: UInt16, _ family: IPAddress.Family, _ transport: RelayedTransport = .udp
    ) -> RelayedPorts.State {
        let (live, known) = self[family, transport]
        return live.contains(port) ? .live : known.contains(port) ? .former : .foreign
    }
}
