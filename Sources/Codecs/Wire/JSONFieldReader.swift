import Base
import JSONCodec

/// Reads a message from a JSON object, by the proto3 JSON mapping. Unknown members are ignored; null is absent.
struct JSONFieldReader: FieldReader {
    private let object: JSONObject

    /// Frames nest three deep; what a later version adds has room.
    private static let maxDepth = 16

    init(_ object: JSONObject) {
        self.object = object
    }

    /// The type of a frame and its fields.
    static func frame(
        _ text: String, maxBytes: Int, allowed: [String]
    ) throws(WireError) -> (type: String, reader: JSONFieldReader) {
        let value: JSONValue
        do {
            value = try JSONValue.parse(text, limits: JSONLimits(maxBytes: maxBytes, maxDepth: maxDepth))
        } catch {
            throw error == .tooLong ? .tooLarge(field: "frame", limit: maxBytes) : .malformed
        }
        guard let object = value.object else { throw .malformed }
        let reader = JSONFieldReader(object)
        guard let type = try reader.string(0, "type") else { throw .missing(field: "type") }
        guard allowed.contains(type) else {
            throw .unknownType(String(decoding: type.utf8.prefix(64), as: UTF8.self), allowed: allowed)
        }
        return (type, reader)
    }

    private func member<Value>(
        _ name: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(WireError) -> Value? {
        guard let value = object[name], !value.isNull else { return nil }
        guard let read = read(value) else { throw .invalid(field: name, expected: expected) }
        return read
    }

    private func elements(_ name: String, limit: Int) throws(WireError) -> [JSONValue] {
        let elements = try member(name, "an array") { $0.array } ?? []
        guard elements.count <= limit else { throw .tooLarge(field: name, limit: limit) }
        return elements
    }

    let absentMeansDefault = false

    func string(_ number: Int, _ name: String) throws(WireError) -> String? {
        try member(name, "a string") { $0.string }
    }

    func bytes(_ number: Int, _ name: String) throws(WireError) -> [UInt8]? {
        try member(name, "base64") { value in
            // What most clients send needs no second look.
            value.string.flatMap { Base64.decode($0) } ?? value.base64
        }
    }

    func uint64(_ number: Int, _ name: String) throws(WireError) -> UInt64? {
        try member(name, "an integer that is not negative") { $0.uint64 }
    }

    func int64(_ number: Int, _ name: String) throws(WireError) -> Int64? {
        try member(name, "an integer") { $0.int64 }
    }

    func bool(_ number: Int, _ name: String) throws(WireError) -> Bool? {
        try member(name, "true or false") { $0.bool }
    }

    func enumeration<Value: WireEnumeration>(
        _ number: Int, _ name: String, as type: Value.Type
    ) throws(WireError) -> Value? {
        try member(name, Value.allCases.map(\.rawValue).joined(separator: ", ")) { value in
            value.string.flatMap { Value(rawValue: $0) }
        }
    }

    func message<Value: WireMessage>(_ number: Int, _ name: String, as type: Value.Type) throws(WireError) -> Value? {
        guard let object = try member(name, "an object", { $0.object }) else { return nil }
        return try Value(from: JSONFieldReader(object))
    }

    func strings(_ number: Int, _ name: String, limit: Int) throws(WireError) -> [String] {
        var found: [String] = []
        for element in try elements(name, limit: limit) {
            guard let text = element.string else { throw .invalid(field: name, expected: "an array of strings") }
            found.append(text)
        }
        return found
    }

    func messages<Value: WireMessage>(
        _ number: Int, _ name: String, as type: Value.Type, limit: Int
    ) throws(WireError) -> [Value] {
        var found: [Value] = []
        for element in try elements(name, limit: limit) {
            guard let object = element.object else { throw .invalid(field: name, expected: "an array of objects") }
            found.append(try Value(from: JSONFieldReader(object)))
        }
        return found
    }
}
