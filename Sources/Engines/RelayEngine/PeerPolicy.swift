public import Base

/// Which peers a client may be relayed to. Closed by default: only addresses of the Internet, and of this host only
/// relayed transport addresses that carry a live allocation (so that two relayed clients reach each other).
public struct PeerPolicy: Sendable {
    /// The address that clients are told, and the one that relay sockets are bound to; they differ behind a 1:1 NAT.
    public let relayedAddress: IPAddress
    public let boundAddress: IPAddress
    /// Other addresses of this host: never peers.
    let ownAddresses: [IPAddress]
    /// Ports on which this deployment listens, on any address of this host: never peers.
    let ownPorts: [UInt16]
    /// For development: peers on 127.0.0.0/8 and ::1, save our own ports.
    let allowsLoopback: Bool
    let relayedPorts: RelayedPorts

    public init(
        relayedAddress: IPAddress, boundAddress: IPAddress, ownAddresses: [IPAddress], ownPorts: [UInt16],
        allowsLoopback: Bool, relayedPorts: RelayedPorts
    ) {
        self.relayedAddress = relayedAddress
        self.boundAddress = boundAddress
        self.ownAddresses = ownAddresses
        self.ownPorts = ownPorts
        self.allowsLoopback = allowsLoopback
        self.relayedPorts = relayedPorts
    }

    enum Verdict: Equatable, Sendable {
        case allowed
        /// On this host: allowed port by port, asked again for every packet.
        case byPort
        case denied
    }

    func verdict(_ ip: IPAddress) -> Verdict {
        if ip == relayedAddress || ip == boundAddress { return .byPort }
        switch AddressClass(ip) {
        case .loopback: return allowsLoopback ? .byPort : .denied
        case .special: return .denied
        case .global:
            let isOwn = ownAddresses.contains(ip) || AddressClass.inner(ip).map(ownAddresses.contains) ?? false
            return isOwn ? .denied : .allowed
        }
    }

    /// Asked for a peer whose verdict is `byPort`.
    func permitsOwn(_ peer: SocketAddress) -> Bool {
        for index in ownPorts.indices where ownPorts[index] == peer.port { return false }
        let isLoopback = AddressClass(peer.ip) == .loopback
        guard peer.ip == relayedAddress || peer.ip == boundAddress else { return isLoopback && allowsLoopback }
        switch relayedPorts.state(of: peer.port) {
        case .live: return true
        case .former: return false
        // Another program's port: on loopback that is what a developer's peer is.
        case .foreign: return isLoopback && allowsLoopback
        }
    }

    /// Whether a client may be relayed to the peer; with port 0, which names no peer, whether to any port there.
    func permits(_ peer: SocketAddress) -> Bool {
        switch verdict(peer.ip) {
        case .allowed: true
        case .denied: false
        case .byPort: peer.port == 0 || permitsOwn(peer)
        }
    }

    /// Where a peer named by its public address is reached from here.
    @inline(__always)
    func local(_ peer: SocketAddress) -> SocketAddress {
        peer.ip == relayedAddress ? SocketAddress(boundAddress, port: peer.port) : peer
    }

    /// The name that clients know a peer by.
    @inline(__always)
    func published(_ peer: SocketAddress) -> SocketAddress {
        peer.ip == boundAddress ? SocketAddress(relayedAddress, port: peer.port) : peer
    }
}
