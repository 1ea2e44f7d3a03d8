/// Sizes and constants of RFC 8489 section 5.
@usableFromInline
enum STUNHeader {
    @usableFromInline static let byteCount = 20
    @usableFromInline static let magicCookie: UInt32 = 0x2112_A442
    static let attributeHeaderByteCount = 4
    static let fingerprintByteCount = 4

    /// Attribute values are padded to a multiple of four bytes.
    @inlinable @inline(__always)
    static func padded(_ count: Int) -> Int { (count + 3) & ~3 }
}

/// What a datagram on a STUN/TURN port is, told by its first byte (RFC 7983, RFC 8656 section 12).
public enum DatagramKind: Equatable, Sendable {
    case stun
    case channelData
    case other

    @inlinable
    public init(firstByte: UInt8) {
        switch firstByte {
        case 0...3: self = .stun
        // From 0x50 on only where numbers of RFC 5766 are bound.
        case 0x40...0x7F: self = .channelData
        default: self = .other
        }
    }
}
