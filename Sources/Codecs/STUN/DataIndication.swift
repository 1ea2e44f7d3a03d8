public import Base

/// The Data indication of RFC 8656 section 11.4, written around a payload where it lies: header, XOR-PEER-ADDRESS and
/// the header of DATA in front of it, padding behind it.
public enum DataIndication {
    /// Bytes that stand before the payload.
    @inlinable
    public static func headerByteCount(peer: IPAddress.Family) -> Int { peer == .v4 ? 36 : 48 }

    /// The largest payload that the length fields can express.
    public static let maxPayloadByteCount = 65_000

    @inlinable
    public static func paddingByteCount(payloadCount: Int) -> Int { -payloadCount & 3 }

    /// - Parameters:
    ///   - message: header, payload and padding; the payload is in place already.
    ///   - payloadCount: at most `maxPayloadByteCount`.
    public static func write(
        into message: UnsafeMutableRawBufferPointer, payloadCount: Int, peer: SocketAddress,
        transactionID: TransactionID
    ) {
        let header = headerByteCount(peer: peer.ip.family)
        let padding = paddingByteCount(payloadCount: payloadCount)
        precondition(payloadCount <= maxPayloadByteCount && message.count == header + payloadCount + padding)
        var writer = STUNWriter(
            into: UnsafeMutableRawBufferPointer(rebasing: message[..<header]),
            type: STUNMessageType(.data, .indication),
            transactionID: transactionID)
        writer.append(.xorPeerAddress, xorAddress: peer)
        _ = writer.finish()
        message.storeBytes(of: UInt16(message.count - STUNHeader.byteCount).bigEndian, toByteOffset: 2, as: UInt16.self)
        message.storeBytes(of: STUNAttributeType.data.rawValue.bigEndian, toByteOffset: header - 4, as: UInt16.self)
        message.storeBytes(of: UInt16(payloadCount).bigEndian, toByteOffset: header - 2, as: UInt16.self)
        for index in 0..<padding { message[header + payloadCount + index] = 0 }
    }
}
