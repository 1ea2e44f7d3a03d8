/// Reads the protobuf wire format: one pass over the bytes, which remembers where the fields are.
///
/// Unknown fields are skipped; of a field that should stand once the last one counts. Groups, which proto3 does not have,
/// are refused. Nested messages are read by the schema alone, so that their depth is bounded by it.
struct ProtobufReader: FieldReader {
    private enum Value {
        case varint(UInt64)
        case delimited(ArraySlice<UInt8>)
    }

    private var fields: [(number: Int, value: Value)] = []

    /// More fields than this in one message are refused.
    private static let maxFields = WireLimits.maxUplinkElements + 64

    init(_ bytes: ArraySlice<UInt8>) throws(WireError) {
        var rest = bytes
        while !rest.isEmpty {
            let key = try Self.takeVarint(&rest)
            guard let number = Int(exactly: key >> 3), number > 0, number < 1 << 29 else { throw .malformed }
            switch key & 7 {
            case 0:
                try append(number, .varint(Self.takeVarint(&rest)))
            case 1:
                try Self.skip(8, &rest)
            case 2:
                guard let count = Int(exactly: try Self.takeVarint(&rest)), count <= rest.count else {
                    throw .malformed
                }
                try append(number, .delimited(rest.prefix(count)))
                rest = rest.dropFirst(count)
            case 5:
                try Self.skip(4, &rest)
            default:
                throw .malformed
            }
        }
    }

    private mutating func append(_ number: Int, _ value: Value) throws(WireError) {
        guard fields.count < Self.maxFields else { throw .malformed }
        fields.append((number, value))
    }

    private static func takeVarint(_ rest: inout ArraySlice<UInt8>) throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = rest.popFirst() {
            // The tenth byte holds the 64th bit alone.
            guard shift < 63 || byte <= 1 else { throw .malformed }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw .malformed
    }

    private static func skip(_ count: Int, _ rest: inout ArraySlice<UInt8>) throws(WireError) {
        guard rest.count >= count else { throw .malformed }
        rest = rest.dropFirst(count)
    }

    private func last(_ number: Int) -> Value? {
        fields.last { $0.number == number }?.value
    }

    private func varint(_ number: Int, _ name: String) throws(WireError) -> UInt64? {
        switch last(number) {
        case nil: nil
        case .varint(let value): value
        case .delimited: throw .invalid(field: name, expected: "a varint")
        }
    }

    private func delimited(_ number: Int, _ name: String) throws(WireError) -> ArraySlice<UInt8>? {
        switch last(number) {
        case nil: nil
        case .delimited(let bytes): bytes
        case .varint: throw .invalid(field: name, expected: "a length-delimited field")
        }
    }

    private func all(_ number: Int, _ name: String, limit: Int) throws(WireError) -> [ArraySlice<UInt8>] {
        var found: [ArraySlice<UInt8>] = []
        for field in fields where field.number == number {
            guard case .delimited(let bytes) = field.value else {
                throw .invalid(field: name, expected: "a length-delimited field")
            }
            guard found.count < limit else { throw .tooLarge(field: name, limit: limit) }
            found.append(bytes)
        }
        return found
    }

    private func text(_ bytes: ArraySlice<UInt8>, _ name: String) throws(WireError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid(field: name, expected: "UTF-8")
        }
        return text
    }

    let absentMeansDefault = true

    func string(_ number: Int, _ name: String) throws(WireError) -> String? {
        guard let bytes = try delimited(number, name) else { return nil }
        return try text(bytes, name)
    }

    func bytes(_ number: Int, _ name: String) throws(WireError) -> [UInt8]? {
        try delimited(number, name).map { Array($0) }
    }

    func uint64(_ number: Int, _ name: String) throws(WireError) -> UInt64? {
        try varint(number, name)
    }

    func int64(_ number: Int, _ name: String) throws(WireError) -> Int64? {
        try varint(number, name).map { Int64(bitPattern: $0) }
    }

    func bool(_ number: Int, _ name: String) throws(WireError) -> Bool? {
        try varint(number, name).map { $0 != 0 }
    }

    func enumeration<Enumeration: WireEnumeration>(
        _ number: Int, _ name: String, as type: Enumeration.Type
    ) throws(WireError) -> Enumeration? {
        guard let value = try varint(number, name) else { return nil }
        guard let known = Enumeration(wireNumber: value) else {
            throw .invalid(field: name, expected: Enumeration.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return known
    }

    func message<Message: WireMessage>(
        _ number: Int, _ name: String, as type: Message.Type
    ) throws(WireError) -> Message? {
        guard let bytes = try delimited(number, name) else { return nil }
        return try Message(from: ProtobufReader(bytes))
    }

    func strings(_ number: Int, _ name: String, limit: Int) throws(WireError) -> [String] {
        var found: [String] = []
        for bytes in try all(number, name, limit: limit) { found.append(try text(bytes, name)) }
        return found
    }

    func messages<Message: WireMessage>(
        _ number: Int, _ name: String, as type: Message.Type, limit: Int
    ) throws(WireError) -> [Message] {
        var found: [Message] = []
        for bytes in try all(number, name, limit: limit) { found.append(try Message(from: ProtobufReader(bytes))) }
        return found
    }
}
