public import Base

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
        let field = bytes.bigEndian(at: attribute.offset, as: UInt32.self)
        let (hundreds, rest) = (UInt16(field >> 8 & 0b111), UInt16(field & 0xFF))
        guard (3...6).contains(hundreds), rest < 100 else { return nil }
        return STUNErrorCode(rawValue: hundreds * 100 + rest)
    }

    /// The first XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS or XOR-RELAYED-ADDRESS (RFC 8489 section 14.2).
    public func xorAddress(_ type: STUNAttributeType) -> SocketAddress? {
        guard let attribute = attribute(type) else { return nil }
        return xorAddress(attribute)
    }

    /// The address in an attribute; nil unless family and size are right.
    public func xorAddress(_ attribute: STUNAttribute) -> SocketAddress? {
        guard attribute.count >= 8 else { return nil }
        let port = bytes.bigEndian(at: attribute.offset + 2, as: UInt16.self) ^ UInt16(STUNHeader.magicCookie >> 16)
        switch (bytes.bigEndian(at: attribute.offset + 1, as: UInt8.self), attribute.count) {
        case (1, 8):
            let bits = bytes.bigEndian(at: attribute.offset + 4, as: UInt32.self) ^ STUNHeader.magicCookie
            return SocketAddress(IPAddress(v4: bits), port: port)
        case (2, 20):
            let high = bytes.bigEndian(at: attribute.offset + 4, as: UInt64.self)
            let low = bytes.bigEndian(at: attribute.offset + 12, as: UInt64.self)
            return SocketAddress(
                IPAddress(v6High: high ^ transactionID.addressMask, low: low ^ transactionID.low), port: port)
        default:
            return nil
        }
    }
}

extension TransactionID {
    /// What the upper half of an IPv6 address is combined with: the magic cookie and the start of the transaction id.
    var addressMask: UInt64 { UInt64(STUNHeader.magicCookie) << 32 | UInt64(high) }
}
