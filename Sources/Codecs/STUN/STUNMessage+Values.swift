import Base

extension STUNMessage {
    /// A copy of an attribute's value.
    public func value(_ type: STUNAttributeType) -> [UInt8]? {
        attribute(type).map { bytes.extracting($0.range).array }
    }

    /// A value that must be UTF-8, such as USERNAME or REALM; nil if it is absent or is not.
    public func text(_ type: STUNAttributeType) -> String? {
        value(type).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// A value of exactly four bytes, such as LIFETIME.
    public func number(_ type: STUNAttributeType) -> UInt32? {
        guard let attribute = attribute(type), attribute.count == 4 else { return nil }
        return bytes.bigEndian(at: attribute.offset, as: UInt32.self)
    }

    /// The first byte of a four-byte value whose other bytes are reserved: REQUESTED-TRANSPORT, REQUESTED-ADDRESS-FAMILY.
    public func leadingByte(_ type: STUNAttributeType) -> UInt8? {
        number(type).map { UInt8($0 >> 24) }
    }

    /// CHANNEL-NUMBER (RFC 8656 section 18.1).
    public var channelNumber: UInt16? {
        number(.channelNumber).map { UInt16($0 >> 16) }
    }

    /// ERROR-CODE (RFC 8489 section 14.8) without the reason phrase.
    public var errorCode: STUNErrorCode? {
        guard let attribute = attribute(.errorCode), attribute.count >= 4 else { return nil }
        return STUNErrorCode(attributeValue: bytes.bigEndian(at: attribute.offset, as: UInt32.self))
    }
}
