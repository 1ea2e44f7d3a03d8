/// Writes the protobuf wire format. Fields that are there are written even with their default value, which proto3 allows;
/// absent optional ones are not.
struct ProtobufWriter: FieldWriter {
    private(set) var bytes: [UInt8] = []

    private enum WireType: UInt64 {
        case varint = 0
        case delimited = 2
    }

    private mutating func append(varint: UInt64) {
        var rest = varint
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private mutating func append(key number: Int, _ type: WireType) {
        append(varint: UInt64(number) << 3 | type.rawValue)
    }

    private mutating func append(_ number: Int, delimited content: some Collection<UInt8>) {
        append(key: number, .delimited)
        append(varint: UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    mutating func write(_ number: Int, _ name: String, string: String) {
        append(number, delimited: string.utf8)
    }

    mutating func write(_ number: Int, _ name: String, bytes: [UInt8]) {
        append(number, delimited: bytes)
    }

    mutating func write(_ number: Int, _ name: String, uint64: UInt64) {
        append(key: number, .varint)
        append(varint: uint64)
    }

    mutating func write(_ number: Int, _ name: String, int64: Int64) {
        write(number, name, uint64: UInt64(bitPattern: int64))
    }

    mutating func write(_ number: Int, _ name: String, uint32: UInt32) {
        write(number, name, uint64: UInt64(uint32))
    }

    mutating func write(_ number: Int, _ name: String, bool: Bool) {
        write(number, name, uint64: bool ? 1 : 0)
    }

    mutating func write(_ number: Int, _ name: String, enumeration: some WireEnumeration) {
        write(number, name, uint64: enumeration.wireNumber)
    }

    mutating func write(_ number: Int, _ name: String, message: some WireMessage) {
        var nested = ProtobufWriter()
        message.write(to: &nested)
        append(number, delimited: nested.bytes)
    }

    mutating func write(_ number: Int, _ name: String, strings: [String]) {
        for string in strings { append(number, delimited: string.utf8) }
    }

    mutating func write(_ number: Int, _ name: String, messages: [some WireMessage]) {
        for message in messages { write(number, name, message: message) }
    }
}
