import Base

/// The class of a STUN message (RFC 8489 section 5).
public enum STUNClass: UInt16, Sendable, BitwiseCopyable {
    case request = 0b00
    case indication = 0b01
    case success = 0b10
    case error = 0b11
}

/// The method of a STUN message: those of RFC 8489, RFC 8656 and RFC 6062 have names.
public struct STUNMethod: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let binding = STUNMethod(rawValue: 0x001)
    public static let allocate = STUNMethod(rawValue: 0x003)
    public static let refresh = STUNMethod(rawValue: 0x004)
    public static let send = STUNMethod(rawValue: 0x006)
    public static let data = STUNMethod(rawValue: 0x007)
    public static let createPermission = STUNMethod(rawValue: 0x008)
    public static let channelBind = STUNMethod(rawValue: 0x009)
    public static let connect = STUNMethod(rawValue: 0x00A)
    public static let connectionBind = STUNMethod(rawValue: 0x00B)
    public static let connectionAttempt = STUNMethod(rawValue: 0x00C)
}

/// Method and class, interleaved in the first 14 bits of a message (RFC 8489 section 5).
public struct STUNMessageType: Hashable, Sendable, BitwiseCopyable {
    public let method: STUNMethod
    public let messageClass: STUNClass

    public init(_ method: STUNMethod, _ messageClass: STUNClass) {
        self.method = method
        self.messageClass = messageClass
    }

    /// Reads the type alone, for a decision before the message is parsed.
    public init?(peeking bytes: RawSpan) {
        guard bytes.byteCount >= 2 else { return nil }
        self.init(field: bytes.bigEndian(at: 0, as: UInt16.self))
    }

    /// Returns nil when the two most significant bits are set: that is not STUN.
    init?(field: UInt16) {
        guard field & 0xC000 == 0,
            let messageClass = STUNClass(rawValue: field >> 7 & 0b10 | field >> 4 & 0b01)
        else { return nil }
        self.messageClass = messageClass
        method = STUNMethod(rawValue: field >> 2 & 0xF80 | field >> 1 & 0x070 | field & 0x00F)
    }

    var field: UInt16 {
        let method = method.rawValue
        return (method & 0xF80) << 2 | (method & 0x070) << 1 | method & 0x00F
            | (messageClass.rawValue & 0b10) << 7 | (messageClass.rawValue & 0b01) << 4
    }
}

/// What ties an answer to its request: 96 bits, chosen by the client at random (RFC 8489 section 5).
public struct TransactionID: Hashable, Sendable, BitwiseCopyable {
    public let high: UInt32
    public let low: UInt64

    @inlinable
    public init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static func random(using generator: inout some RandomNumberGenerator) -> TransactionID {
        TransactionID(high: UInt32(truncatingIfNeeded: generator.next()), low: generator.next())
    }

    public static func random() -> TransactionID {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }
}
