public import Base

extension STUNWriter {
    /// An address as it is, in the form of MAPPED-ADDRESS (RFC 8489 section 14.1): ALTERNATE-SERVER, RESPONSE-ORIGIN,
    /// OTHER-ADDRESS.
    public mutating func append(_ type: STUNAttributeType, address: SocketAddress) {
        var value: [UInt8] = [0, Self.number(of: address.ip.family)]
        value.append(bigEndian: address.port)
        if address.ip.family == .v4 {
            value.append(bigEndian: UInt32(truncatingIfNeeded: address.ip.low))
        } else {
            value.append(bigEndian: address.ip.high)
            value.append(bigEndian: address.ip.low)
        }
        append(type, bytes: value)
    }

    /// ADDRESS-ERROR-CODE (RFC 8656 section 18.12) with an empty reason phrase.
    public mutating func append(addressError code: STUNErrorCode, family: IPAddress.Family) {
        let number = UInt32(code.rawValue / 100) << 8 | UInt32(code.rawValue % 100)
        append(.addressErrorCode, number: UInt32(Self.number(of: family)) << 24 | number)
    }

    private static func number(of family: IPAddress.Family) -> UInt8 { family == .v4 ? 1 : 2 }
}
