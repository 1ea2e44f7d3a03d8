public import Base

/// Which peers a client may be relayed to. Closed by default: only addresses of the Internet, and of this host only
/// relayed transport addresses that carry a live allocation (so that two relayed clients reach each other).
///
/// `permits` is asked for every permission, channel and connection. Packets ask only `permitsOwn`, of peers whose
/// verdict is `byPort`.
public struct PeerPolicy: Sendable {
    /// What the operator and the deployment say.
    public struct Rules: Equatable, Sendable {
        /// Addresses of this host: never peers.
        public var ownAddresses: [IPAddress] = []
        /// Ports on which this deployment listens, on any address of this host: never peers.
        public var ownUDPPorts: [UInt16] = []
        public var ownTCPPorts: [UInt16] = []
        /// For development: peers on 127.0.0.0/8 and ::1, save our own ports.
        public var allowsLoopback = false

        public init() {}
    }

    public let addresses: RelayAddresses
    private let rules: Rules
    private let relayedPorts: RelayedPorts

    public init(addresses: RelayAddresses, rules: Rules, relayedPorts: RelayedPorts) {
        self.addresses = addresses
        self.rules = rules
        self.relayedPorts = relayedPorts
    }

    enum Verdict: Equatable, Sendable {
        case allowed
        /// On this host: allowed port by port, asked again for every packet.
        case byPort
        case denied
    }

    func verdict(_ ip: IPAddress) -> Verdict {
        if addresses.contains(ip) { return .byPort }
        switch AddressClass(ip) {
        case .loopback: return rules.allowsLoopback ? .byPort : .denied
        case .special: return .denied
        case .global:
            let own = rules.ownAddresses
            let isOwn = own.contains(ip) || AddressClass.inner(ip).map(own.contains) ?? false
            return isOwn ? .denied : .allowed
        }
    }

    /// Asked for a peer whose verdict is `byPort`.
    func permitsOwn(_ peer: SocketAddress, over transport: RelayedTransport = .udp) -> Bool {
        guard !isOwnPort(peer.port, transport) else { return false }
        let isOpen = rules.allowsLoopback && AddressClass(peer.ip) == .loopback
        guard addresses.contains(peer.ip) else { return isOpen }
        switch relayedPorts.state(of: peer.port, peer.ip.family, transport) {
        case .live: return true
        case .former: return false
        // Another program's port: on loopback that is what a developer's peer is.
        case .foreign: return isOpen
        }
    }

    private func isOwnPort(_ port: UInt16, _ transport: RelayedTransport) -> Bool {
        switch transport {
        case .udp: for index in rules.ownUDPPorts.indices where rules.ownUDPPorts[index] == port { return true }
        case .tcp: for index in rules.ownTCPPorts.indices where rules.ownTCPPorts[index] == port { return true }
        }
        return false
    }

    /// Whether a client may be relayed to the peer; with port 0, which names no peer, whether to any port there.
    func permits(_ peer: SocketAddress, over transport: RelayedTransport = .udp) -> Bool {
        switch verdict(peer.ip) {
        case .allowed: true
        case .denied: false
        case .byPort: peer.port == 0 || permitsOwn(peer, over: transport)
        }
    }

    /// Where a peer named by its public address is reached from here.
    @inline(__always)
    func local(_ peer: SocketAddress) -> SocketAddress { addresses.local(peer) }

    /// The name that clients know a peer by.
    @inline(__always)
    func published(_ peer: SocketAddress) -> SocketAddress { addresses.published(peer) }
}
