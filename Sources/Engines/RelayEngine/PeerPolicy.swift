public import Base
import STUN

/// Which peers a client may be relayed to. Closed by default: only addresses of the Internet, and of this host only
/// relayed transport addresses that carry a live allocation (so that two relayed clients reach each other).
///
/// Permissions, channels and connections all ask `refusal`. Packets ask only `permitsOwn`, of peers whose verdict is
/// `byPort`.
public struct PeerPolicy: Sendable {
    /// What the operator and the deployment say.
    public struct Rules: Sendable {
        /// Networks whose addresses are peers although the default denies them; never our own listeners.
        public var allowed: [IPNetwork] = []
        /// Networks whose addresses are no peers, whatever else would allow them.
        public var denied: [IPNetwork] = []
        /// Prefixes under which the network translates to IPv4 (RFC 6052), besides the well-known one.
        public var translationPrefixes: [IPNetwork] = []
        /// Addresses of this host: never peers, unless `allowed`.
        public var ownAddresses = OwnAddresses()
        /// Ports on which this deployment listens, on any address of this host: never peers, over UDP nor TCP.
        public var ownPorts: [UInt16] = []
        /// For development: peers on 127.0.0.0/8 and ::1, save our own ports.
        public var allowsLoopback = false

        public init() {}
    }

    public let addresses: RelayAddresses
    private let rules: Rules
    /// Kept for the views of them, which packets look into.
    private let owners: (RelayedPorts, PortSets)
    private let relayedPorts: RelayedPortsView
    private let ownPorts: PortSet

    public init(addresses: RelayAddresses, rules: Rules, relayedPorts: RelayedPorts) {
        self.addresses = addresses
        self.rules = rules
        let own = PortSets(count: 1)
        for port in rules.ownPorts { own[0].insert(port) }
        owners = (relayedPorts, own)
        self.relayedPorts = relayedPorts.view
        ownPorts = own[0]
    }

    enum Verdict: Equatable, Sendable {
        case allowed
        /// On this host: allowed port by port, asked again for every packet.
        case byPort
        case denied
    }

    /// What a client names a peer for.
    enum PeerUse: Sendable {
        /// The port says nothing, unless it is one of ours.
        case permission
        case channel
        case connection
    }

    /// The error that a request has which names this peer; nil for a good one. The one question for all that name peers
    /// (RFC 8656 sections 9.2 and 12.2, RFC 6062 section 5.2).
    ///
    /// - Parameters:
    ///   - peer: nil where the attribute is missing or malformed.
    ///   - hasFamily: whether the allocation has relayed transport addresses of the peer's family.
    func refusal(
        of peer: SocketAddress?, for use: PeerUse, over transport: RelayedTransport,
        hasFamily: (IPAddress.Family) -> Bool
    ) -> STUNErrorCode? {
        guard let peer, peer.port != 0 || use == .permission else { return .badRequest }
        guard hasFamily(peer.ip.family) else { return .peerAddressFamilyMismatch }
        return permits(peer, over: transport) ? nil : .forbidden
    }

    /// Whether a client may be relayed to the peer; with port 0, which names no peer, whether to any port there.
    func permits(_ peer: SocketAddress, over transport: RelayedTransport = .udp) -> Bool {
        switch verdict(peer.ip) {
        case .allowed: true
        case .denied: false
        case .byPort: peer.port == 0 || permitsOwn(peer, over: transport)
        }
    }

    func verdict(_ ip: IPAddress) -> Verdict {
        let carried = ip.carriedV4(translatedBy: rules.translationPrefixes)
        let addressClass = AddressClass(ip, translatedBy: rules.translationPrefixes)
        if addressClass == .notUnicast || isDenied(ip) || carried.contains(where: isDenied) { return .denied }
        if addresses.contains(ip) { return .byPort }
        let isAllowed = isAllowed(ip)
        if addressClass == .loopback || rules.ownAddresses.contains(ip) { return isAllowed ? .byPort : .denied }
        if carried.isEmpty { return isAllowed || addressClass == .global ? .allowed : .denied }
        // It is as good as what it carries, and that is no way around the questions about this host's ports.
        guard isAllowed || AddressClass.isRouted(ip, translatedBy: rules.translationPrefixes) else { return .denied }
        return carried.allSatisfy { verdict($0) == .allowed } ? .allowed : .denied
    }

    private func isDenied(_ ip: IPAddress) -> Bool { rules.denied.contains { $0.contains(ip) } }

    private func isAllowed(_ ip: IPAddress) -> Bool {
        if rules.allowsLoopback, ip == .loopbackV6 || ip.family == .v4 && ip.low >> 24 == 127 { return true }
        return rules.allowed.contains { $0.contains(ip) }
    }

    /// Asked for a peer whose verdict is `byPort`.
    @inline(__always)
    func permitsOwn(_ peer: SocketAddress, over transport: RelayedTransport = .udp) -> Bool {
        guard !isOwnPort(peer.port) else { return false }
        guard addresses.contains(peer.ip) else { return isAllowed(peer.ip) }
        switch relayedPorts.state(of: peer.port, peer.ip.family, transport) {
        case .live: return true
        case .former: return false
        // Another program's port: on loopback that is what a developer's peer is.
        case .foreign: return isAllowed(peer.ip)
        }
    }

    /// Whether the deployment listens there. A relayed transport address must not have such a port: it would be refused
    /// as a peer.
    @inline(__always)
    public func isOwnPort(_ port: UInt16) -> Bool { ownPorts.contains(port) }

    /// Where a peer named by its public address is reached from here.
    @inline(__always)
    func local(_ peer: SocketAddress) -> SocketAddress { addresses.local(peer) }

    /// The name that clients know a peer by.
    @inline(__always)
    func published(_ peer: SocketAddress) -> SocketAddress { addresses.published(peer) }
}
