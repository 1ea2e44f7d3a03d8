import Base
import JSONCodec

/// Writes a message as a JSON object, by the proto3 JSON mapping: 64-bit integers as strings, bytes as padded base64.
struct JSONFieldWriter: FieldWriter {
    private(set) var object = JSONObject()

    mutating func write(_ number: Int, _ name: String, string: String) { object[name] = .string(string) }
    mutating func write(_ number: Int, _ name: String, bytes: [UInt8]) { object[name] = .base64(bytes) }
    mutating func write(_ number: Int, _ name: String, uint64: UInt64) { object[name] = .decimal(uint64) }
    mutating func write(_ number: Int, _ name: String, int64: Int64) { object[name] = .decimal(int64) }
    mutating func write(_ number: Int, _ name: String, uint32: UInt32) { object[name] = .int(Int64(uint32)) }
    mutating func write(_ number: Int, _ name: String, bool: Bool) { object[name] = .bool(bool) }

    mutating func write(_ number: Int, _ name: String, enumeration: some WireEnumeration) {
        object[name] = .string(enumeration.rawValue)
    }

    mutating func write(_ number: Int, _ name: String, message: some WireMessage) {
        object[name] = Self.object(message)
    }

    mutating func write(_ number: Int, _ name: String, strings: [String]) {
        object[name] = .array(strings.map { .string($0) })
    }

    mutating func write(_ number: Int, _ name: String, messages: [some WireMessage]) {
        object[name] = .array(messages.map { Self.object($0) })
    }

    private static func object(_ message: some WireMessage) -> JSONValue {
        var writer = JSONFieldWriter()
        message.write(to: &writer)
        return .object(writer.object)
    }

    /// The text of a frame: its `type`, then its fields.
    static func frame(_ type: String, _ message: (some WireMessage)?) -> String {
        var writer = JSONFieldWriter()
        writer.object["type"] = .string(type)
        message?.write(to: &writer)
        return JSONValue.object(writer.object).text
    }
}
