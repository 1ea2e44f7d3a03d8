public import Base

/// Where relay sockets of one address family are, and what clients are told.
public struct RelayAddress: Equatable, Sendable, BitwiseCopyable {
    /// What relayed transport addresses begin with. Another than `bound` behind a 1:1 NAT.
    public let relayed: IPAddress
    /// What relay sockets are bound to.
    public let bound: IPAddress

    /// - Important: both of one family (precondition).
    public init(relayed: IPAddress, bound: IPAddress) {
        precondition(relayed.family == bound.family, "a relay address is of one family")
        self.relayed = relayed
        self.bound = bound
    }

    public init(_ ip: IPAddress) { self.init(relayed: ip, bound: ip) }
}

/// The relay's addresses: one for each address family that it relays.
public struct RelayAddresses: Equatable, Sendable, BitwiseCopyable {
    public let v4: RelayAddress?
    public let v6: RelayAddress?
    /// Whether a family has two names; else addresses are the same inside and outside.
    private let isTranslated: Bool

    /// - Important: at least one, each of its family (precondition).
    public init(v4: RelayAddress? = nil, v6: RelayAddress? = nil) {
        precondition(v4 != nil || v6 != nil, "a relay has an address")
        precondition(v4?.bound.family != .v6 && v6?.bound.family != .v4, "an address under the other family")
        self.v4 = v4
        self.v6 = v6
        isTranslated = v4.map { $0.relayed != $0.bound } ?? false || v6.map { $0.relayed != $0.bound } ?? false
    }

    /// One family alone.
    public init(_ address: RelayAddress) {
        let isV4 = address.bound.family == .v4
        self.init(v4: isV4 ? address : nil, v6: isV4 ? nil : address)
    }

    @inline(__always)
    public subscript(family: IPAddress.Family) -> RelayAddress? { family == .v4 ? v4 : v6 }

    /// What relayed transport addresses begin with.
    public var relayed: [IPAddress] { [v4, v6].compactMap { $0?.relayed } }

    /// Whether it is the relay's, by either name.
    func contains(_ ip: IPAddress) -> Bool {
        guard let address = self[ip.family] else { return false }
        return ip == address.relayed || ip == address.bound
    }

    /// Where a peer named by its public address is reached from here.
    @inline(__always)
    func local(_ peer: SocketAddress) -> SocketAddress {
        guard isTranslated, let address = self[peer.ip.family], peer.ip == address.relayed else { return peer }
        return SocketAddress(address.bound, port: peer.port)
    }

    /// The name that clients know a peer by.
    @inline(__always)
    func published(_ peer: SocketAddress) -> SocketAddress {
        guard isTranslated, let address = self[peer.ip.family], peer.ip == address.bound else { return peer }
        return SocketAddress(address.relayed, port: peer.port)
    }
}
