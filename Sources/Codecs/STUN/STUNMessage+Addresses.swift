public import Base

extension STUNMessage {
    /// The first XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS or XOR-RELAYED-ADDRESS (RFC 8489 section 14.2).
    public func xorAddress(_ type: STUNAttributeType) -> SocketAddress? {
        guard let attribute = attribute(type) else { return nil }
        return xorAddress(attribute)
    }

    /// The address in an attribute; nil unless family and size are right.
    public func xorAddress(_ attribute: STUNAttribute) -> SocketAddress? {
        guard let address = address(attribute) else { return nil }
        let port = address.port ^ UInt16(STUNHeader.magicCookie >> 16)
        switch address.ip.family {
        case .v4:
            return SocketAddress(
                IPAddress(v4: UInt32(truncatingIfNeeded: address.ip.low) ^ STUNHeader.magicCookie), port: port)
        case .v6:
            return SocketAddress(
                IPAddress(
                    v6High: address.ip.high ^ transactionID.addressMask, low: address.ip.low ^ transactionID.low),
                port: port)
        }
    }

    /// The first attribute of a type in the form of MAPPED-ADDRESS (RFC 8489 section 14.1): ALTERNATE-SERVER,
    /// RESPONSE-ORIGIN, OTHER-ADDRESS.
    public func address(_ type: STUNAttributeType) -> SocketAddress? {
        guard let attribute = attribute(type) else { return nil }
        return address(attribute)
    }

    private func address(_ attribute: STUNAttribute) -> SocketAddress? {
        guard attribute.count >= 8 else { return nil }
        let offset = attribute.offset
        let port = bytes.bigEndian(at: offset + 2, as: UInt16.self)
        // The first byte is ignored.
        switch (bytes.bigEndian(at: offset + 1, as: UInt8.self), attribute.count) {
        case (1, 8):
            return SocketAddress(IPAddress(v4: bytes.bigEndian(at: offset + 4, as: UInt32.self)), port: port)
        case (2, 20):
            return SocketAddress(
                IPAddress(
                    v6High: bytes.bigEndian(at: offset + 4, as: UInt64.self),
                    low: bytes.bigEndian(at: offset + 12, as: UInt64.self)),
                port: port)
        default:
            return nil
        }
    }

    /// ADDRESS-ERROR-CODE (RFC 8656 section 18.12) without the reason phrase.
    public var addressError: (family: IPAddress.Family, code: STUNErrorCode)? {
        guard let attribute = attribute(.addressErrorCode), attribute.count >= 4 else { return nil }
        let field = bytes.bigEndian(at: attribute.offset, as: UInt32.self)
        guard let family = IPAddress.Family(attributeValue: UInt8(field >> 24)),
            let code = STUNErrorCode(attributeValue: field)
        else { return nil }
        return (family, code)
    }
}

extension TransactionID {
    /// What the upper half of an IPv6 address is combined with: the magic cookie and the start of the transaction id.
    var addressMask: UInt64 { UInt64(STUNHeader.magicCookie) << 32 | UInt64(high) }
}
