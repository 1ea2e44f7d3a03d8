public import Base

/// What the ICMP attribute of RFC 8656 section 18.13 tells a client about a datagram that went to a peer.
public struct ICMPError: Equatable, Sendable, BitwiseCopyable {
    /// Of ICMP or ICMPv6, as the peer's family is. At most 127: those of errors are.
    public let type: UInt8
    public let code: UInt8
    /// The MTU of the next hop where the datagram was too big for it; else 0.
    public let data: UInt32

    /// - Parameter mtu: of the next hop, in bytes; counts only where the error is that the datagram was too big.
    public init(family: IPAddress.Family, type: UInt8, code: UInt8, mtu: UInt32) {
        self.type = type
        self.code = code
        let isTooBig = family == .v4 ? type == 3 && code == 4 : type == 2
        data = isTooBig ? mtu : 0
    }

    init(type: UInt8, code: UInt8, data: UInt32) {
        self.type = type
        self.code = code
        self.data = data
    }

    /// Whether clients are told of it (RFC 8656 section 11.5): the peer, or the way to it, does not take datagrams as they are.
    public static func concernsClients(family: IPAddress.Family, type: UInt8) -> Bool {
        // Destination unreachable, time exceeded; and of IPv6, packet too big.
        family == .v4 ? [3, 11].contains(type) : (1...3).contains(type)
    }
}

/// The Data indication of RFC 8656 section 11.5, which tells of an ICMP error instead of carrying data.
public enum ICMPIndication {
    public static let maxByteCount = 56

    /// - Parameter message: room for `maxByteCount` bytes (precondition).
    /// - Returns: the size of the message.
    public static func write(
        _ error: ICMPError, peer: SocketAddress, transactionID: TransactionID,
        into message: UnsafeMutableRawBufferPointer
    ) -> Int {
        var writer = STUNWriter(
            into: message, type: STUNMessageType(.data, .indication), transactionID: transactionID)
        writer.append(.xorPeerAddress, xorAddress: peer)
        writer.append(icmp: error)
        return writer.finish()
    }
}

extension STUNWriter {
    public mutating func append(icmp error: ICMPError) {
        let offset = reserve(.icmp, count: 8)
        // 16 reserved bits, seven of the type, nine of the code.
        store(UInt32(error.type & 0x7F) << 9 | UInt32(error.code), at: offset)
        store(error.data, at: offset + 4)
    }
}

extension STUNMessage {
    /// ICMP; nil if it is absent, or not one.
    public var icmp: ICMPError? {
        guard let attribute = attribute(.icmp), attribute.count == 8 else { return nil }
        let field = bytes.bigEndian(at: attribute.offset, as: UInt32.self)
        guard let code = UInt8(exactly: field & 0x1FF) else { return nil }
        return ICMPError(
            type: UInt8(field >> 9 & 0x7F), code: code,
            data: bytes.bigEndian(at: attribute.offset + 4, as: UInt32.self))
    }
}
