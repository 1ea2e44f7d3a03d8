public import Base
import STUN

/// What the network says about datagrams to peers (RFC 8656 section 11.5).
extension RelayEngine {
    /// An ICMP or ICMPv6 message about a datagram that an allocation's relay socket has sent.
    public struct NetworkError: Sendable {
        public let peer: SocketAddress
        public let type: UInt8
        public let code: UInt8
        /// The MTU of the next hop in bytes, where the datagram was larger.
        public let mtu: UInt32?

        public init(peer: SocketAddress, type: UInt8, code: UInt8, mtu: UInt32?) {
            self.peer = peer
            self.type = type
            self.code = code
            self.mtu = mtu
        }
    }

    /// Writes a Data indication with an ICMP attribute.
    ///
    /// - Parameter output: at least `maxAnswerByteCount` bytes.
    /// - Returns: its size and where it goes; nil when the client is not to hear of it.
    public mutating func receiveError(
        _ id: AllocationID, _ error: NetworkError, now: MonotonicInstant, into output: UnsafeMutableRawBufferPointer
    ) -> (count: Int, to: FiveTuple)? {
        let family = error.peer.ip.family
        guard allocations.contains(id), allocations[id].expiresAt > now,
            ICMPError.concernsClients(family: family, type: error.type)
        else { return nil }
        let peer = policy.published(error.peer)
        guard allocations[id].permission(for: peer.ip, now: now) != nil else { return nil }
        statistics.networkErrors += 1
        let count = ICMPIndication.write(
            ICMPError(family: family, type: error.type, code: error.code, mtu: error.mtu ?? 0), peer: peer,
            transactionID: nextIndication(), into: output)
        return (count, allocations[id].tuple)
    }
}
