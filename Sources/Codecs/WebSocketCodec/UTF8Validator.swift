/// Checks UTF-8 that comes in pieces, and tells at the first byte that cannot belong to it (RFC 3629: no overlong
/// forms, no surrogates, nothing above U+10FFFF).
public struct UTF8Validator: Equatable, Sendable {
    /// Continuation bytes still to come for the character that has begun.
    private var expected: UInt8 = 0
    /// What the next continuation byte may be; narrower than 80...BF only behind some first bytes.
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    public init() {}

    /// Whether the text so far ends at a character's end.
    public var isAtBoundary: Bool { expected == 0 }

    /// - Returns: false if the text can no longer be UTF-8, whatever follows.
    public mutating func check(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < bytes.count {
            if expected == 0 {
                while index + 8 <= bytes.count,
                    bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index += 8
                }
                guard index < bytes.count else { break }
            }
            guard check(bytes[index]) else { return false }
            index += 1
        }
        return true
    }

    private mutating func check(_ byte: UInt8) -> Bool {
        if expected > 0 {
            guard (lowest...highest).contains(byte) else { return false }
            expected -= 1
            lowest = 0x80
            highest = 0xBF
            return true
        }
        switch byte {
        case 0x00...0x7F: break
        case 0xC2...0xDF: expected = 1
        case 0xE0:
            expected = 2
            lowest = 0xA0
        case 0xED:
            expected = 2
            highest = 0x9F
        case 0xE1...0xEF: expected = 2
        case 0xF0:
            expected = 3
            lowest = 0x90
        case 0xF4:
            expected = 3
            highest = 0x8F
        case 0xF1...0xF3: expected = 3
        default: return false
        }
        return true
    }
}
