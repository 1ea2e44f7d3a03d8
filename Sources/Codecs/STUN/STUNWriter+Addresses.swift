public import Base

extension STUNWriter {
    /// XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS or XOR-RELAYED-ADDRESS (RFC 8489 section 14.2).
    public mutating func append(_ type: STUNAttributeType, xorAddress address: SocketAddress) {
        let isV4 = address.ip.family == .v4
        append(
            type, family: address.ip.family, port: address.port ^ UInt16(STUNHeader.magicCookie >> 16),
            high: address.ip.high ^ transactionID.addressMask,
            low: address.ip.low ^ (isV4 ? UInt64(STUNHeader.magicCookie) : transactionID.low))
    }

    /// An address as it is, in the form of MAPPED-ADDRESS (RFC 8489 section 14.1): ALTERNATE-SERVER, RESPONSE-ORIGIN,
    /// OTHER-ADDRESS.
    public mutating func append(_ type: STUNAttributeType, address: SocketAddress) {
        append(
            type, family: address.ip.family, port: address.port, high: address.ip.high, low: address.ip.low)
    }

    private mutating func append(
        _ type: STUNAttributeType, family: IPAddress.Family, port: UInt16, high: UInt64, low: UInt64
    ) {
        let offset = reserve(type, count: family == .v4 ? 8 : 20)
        store(UInt16(family.attributeValue), at: offset)
        store(port, at: offset + 2)
        if family == .v4 {
            store(UInt32(truncatingIfNeeded: low), at: offset + 4)
        } else {
            store(high, at: offset + 4)
            store(low, at: offset + 12)
        }
    }

    /// ADDRESS-ERROR-CODE (RFC 8656 section 18.12) with an empty reason phrase.
    public mutating func append(addressError code: STUNErrorCode, family: IPAddress.Family) {
        append(.addressErrorCode, number: UInt32(family.attributeValue) << 24 | code.attributeValue)
    }
}

extension IPAddress.Family {
    /// How attributes name it (RFC 8489 section 14.1).
    var attributeValue: UInt8 { self == .v4 ? 1 : 2 }

    init?(attributeValue: UInt8) {
        switch attributeValue {
        case 1: self = .v4
        case 2: self = .v6
        default: return nil
        }
    }
}
