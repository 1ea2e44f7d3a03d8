import Base

/// A message with one schema and two codings: protobuf by field number, JSON by field name.
protocol WireMessage {
    init(from reader: some FieldReader) throws(WireError)
    func write(to writer: inout some FieldWriter)
}

/// Names in JSON, numbers in protobuf: the position among the cases, from 1. Cases are only ever appended.
protocol WireEnumeration: RawRepresentable<String>, CaseIterable, Equatable {}

extension WireEnumeration {
    var wireNumber: UInt64 {
        var number: UInt64 = 1
        for value in Self.allCases {
            if value == self { break }
            number += 1
        }
        return number
    }

    init?(wireNumber: UInt64) {
        guard let offset = Int(exactly: wireNumber), offset > 0, offset <= Self.allCases.count else { return nil }
        self = Self.allCases[Self.allCases.index(Self.allCases.startIndex, offsetBy: offset - 1)]
    }
}

extension MessageClass: WireEnumeration {}
extension CallEvent: WireEnumeration {}
extension MediaMode: WireEnumeration {}
extension ServerFrame.GapReason: WireEnumeration {}

/// Takes fields in the order in which the message writes them. Absent optional fields are not written.
protocol FieldWriter {
    mutating func write(_ number: Int, _ name: String, string: String)
    mutating func write(_ number: Int, _ name: String, bytes: [UInt8])
    mutating func write(_ number: Int, _ name: String, uint64: UInt64)
    mutating func write(_ number: Int, _ name: String, int64: Int64)
    mutating func write(_ number: Int, _ name: String, uint32: UInt32)
    mutating func write(_ number: Int, _ name: String, bool: Bool)
    mutating func write(_ number: Int, _ name: String, enumeration: some WireEnumeration)
    mutating func write(_ number: Int, _ name: String, message: some WireMessage)
    mutating func write(_ number: Int, _ name: String, strings: [String])
    mutating func write(_ number: Int, _ name: String, messages: [some WireMessage])
}

extension FieldWriter {
    mutating func write(_ number: Int, _ name: String, time: WallTime) {
        write(number, name, int64: time.milliseconds)
    }
}

/// Finds fields of a received message; nil where one is absent.
protocol FieldReader {
    /// protobuf leaves out fields that have their default value; in JSON a required field must be there.
    var absentMeansDefault: Bool { get }

    func string(_ number: Int, _ name: String) throws(WireError) -> String?
    func bytes(_ number: Int, _ name: String) throws(WireError) -> [UInt8]?
    func uint64(_ number: Int, _ name: String) throws(WireError) -> UInt64?
    func int64(_ number: Int, _ name: String) throws(WireError) -> Int64?
    func bool(_ number: Int, _ name: String) throws(WireError) -> Bool?
    func enumeration<Value: WireEnumeration>(
        _ number: Int, _ name: String, as type: Value.Type
    ) throws(WireError) -> Value?
    func message<Value: WireMessage>(_ number: Int, _ name: String, as type: Value.Type) throws(WireError) -> Value?
    func strings(_ number: Int, _ name: String, limit: Int) throws(WireError) -> [String]
    func messages<Value: WireMessage>(
        _ number: Int, _ name: String, as type: Value.Type, limit: Int
    ) throws(WireError) -> [Value]
}

extension FieldReader {
    /// The value, or the default where the coding leaves it out.
    func required<Value>(_ value: Value?, _ name: String, default initial: Value) throws(WireError) -> Value {
        if let value { return value }
        guard absentMeansDefault else { throw .missing(field: name) }
        return initial
    }

    func uint32(_ number: Int, _ name: String) throws(WireError) -> UInt32? {
        guard let wide = try uint64(number, name) else { return nil }
        guard let value = UInt32(exactly: wide) else {
            throw .invalid(field: name, expected: "an integer from 0 to \(UInt32.max)")
        }
        return value
    }

    /// A text within a bound.
    func text(_ number: Int, _ name: String, maxBytes: Int) throws(WireError) -> String? {
        guard let text = try string(number, name) else { return nil }
        guard text.utf8.count <= maxBytes else { throw .tooLarge(field: name, limit: maxBytes) }
        return text
    }

    func requiredText(_ number: Int, _ name: String, maxBytes: Int) throws(WireError) -> String {
        try required(text(number, name, maxBytes: maxBytes), name, default: "")
    }

    func payload(_ number: Int, _ name: String) throws(WireError) -> [UInt8]? {
        guard let bytes = try bytes(number, name) else { return nil }
        guard bytes.count <= WireLimits.maxPayloadBytes else {
            throw .tooLarge(field: name, limit: WireLimits.maxPayloadBytes)
        }
        return bytes
    }

    func requiredPayload(_ number: Int, _ name: String) throws(WireError) -> [UInt8] {
        try required(payload(number, name), name, default: [])
    }

    /// Exactly so many bytes.
    func fixedBytes(_ number: Int, _ name: String, count: Int) throws(WireError) -> [UInt8]? {
        guard let bytes = try bytes(number, name) else { return nil }
        guard bytes.count == count else { throw .invalid(field: name, expected: "\(count) bytes") }
        return bytes
    }

    func requiredFixedBytes(_ number: Int, _ name: String, count: Int) throws(WireError) -> [UInt8] {
        guard let bytes = try fixedBytes(number, name, count: count) else { throw .missing(field: name) }
        return bytes
    }

    func uuid(_ number: Int, _ name: String) throws(WireError) -> UUID? {
        guard let text = try string(number, name) else { return nil }
        guard let id = UUID(text) else { throw .invalid(field: name, expected: "a UUID") }
        return id
    }

    func requiredUUID(_ number: Int, _ name: String) throws(WireError) -> UUID {
        guard let id = try uuid(number, name) else { throw .missing(field: name) }
        return id
    }

    func media(_ number: Int, _ name: String) throws(WireError) -> MediaID? {
        guard let text = try string(number, name) else { return nil }
        guard let id = MediaID(text) else { throw .invalid(field: name, expected: "64 lowercase hexadecimal digits") }
        return id
    }

    func requiredMedia(_ number: Int, _ name: String) throws(WireError) -> MediaID {
        guard let id = try media(number, name) else { throw .missing(field: name) }
        return id
    }

    func requiredPeer(_ number: Int, _ name: String) throws(WireError) -> PeerAddress {
        guard let text = try string(number, name) else { throw .missing(field: name) }
        guard let peer = PeerAddress(text) else {
            throw .invalid(field: name, expected: "user, user/device or group:<id>")
        }
        return peer
    }

    /// A user or device name.
    func name(_ number: Int, _ name: String) throws(WireError) -> String? {
        guard let text = try string(number, name) else { return nil }
        guard isIdentityName(text) else { throw .invalid(field: name, expected: "[A-Za-z0-9._-]{1,64}") }
        return text
    }

    func requiredName(_ number: Int, _ name: String) throws(WireError) -> String {
        guard let text = try self.name(number, name) else { throw .missing(field: name) }
        return text
    }

    func names(_ number: Int, _ name: String, limit: Int) throws(WireError) -> [String] {
        let texts = try strings(number, name, limit: limit)
        guard texts.allSatisfy({ isIdentityName($0) }) else {
            throw .invalid(field: name, expected: "names of [A-Za-z0-9._-]{1,64}")
        }
        return texts
    }

    func time(_ number: Int, _ name: String) throws(WireError) -> WallTime? {
        try int64(number, name).map { WallTime(milliseconds: $0) }
    }

    func requiredTime(_ number: Int, _ name: String) throws(WireError) -> WallTime {
        try required(time(number, name), name, default: WallTime(milliseconds: 0))
    }

    func requiredUInt64(_ number: Int, _ name: String) throws(WireError) -> UInt64 {
        try required(uint64(number, name), name, default: 0)
    }

    func requiredUInt32(_ number: Int, _ name: String) throws(WireError) -> UInt32 {
        try required(uint32(number, name), name, default: 0)
    }

    func requiredBool(_ number: Int, _ name: String) throws(WireError) -> Bool {
        try required(bool(number, name), name, default: false)
    }

    /// A number of bytes or of time: never negative.
    func amount(_ number: Int, _ name: String, upTo limit: Int64 = .max) throws(WireError) -> Int64? {
        guard let value = try int64(number, name) else { return nil }
        guard (0...limit).contains(value) else {
            throw .invalid(field: name, expected: "an integer from 0 to \(limit)")
        }
        return value
    }

    func requiredAmount(_ number: Int, _ name: String) throws(WireError) -> Int64 {
        try required(amount(number, name), name, default: 0)
    }

    func requiredEnumeration<Value: WireEnumeration>(
        _ number: Int, _ name: String, as type: Value.Type
    ) throws(WireError) -> Value {
        guard let value = try enumeration(number, name, as: type) else { throw .missing(field: name) }
        return value
    }
}
