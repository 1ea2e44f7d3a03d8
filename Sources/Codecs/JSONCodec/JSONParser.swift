/// What a parser accepts at most.
public struct JSONLimits: Equatable, Sendable {
    /// Length of the whole text.
    public var maxBytes: Int
    /// Arrays and objects within each other.
    public var maxDepth: Int

    public init(maxBytes: Int = 1 << 20, maxDepth: Int = 32) {
        self.maxBytes = maxBytes
        self.maxDepth = maxDepth
    }
}

/// Why a text is no JSON, and at which byte.
public enum JSONError: Error, Equatable {
    case tooLong
    case tooDeep
    case unexpectedEnd
    case unexpectedByte(at: Int)
    case badNumber(at: Int)
    case badEscape(at: Int)
    case loneSurrogate(at: Int)
    case badUTF8(at: Int)
    case duplicateKey(at: Int)
    case trailingBytes(at: Int)
}

extension JSONValue {
    /// Parses exactly one JSON text (RFC 8259) in UTF-8, without byte order mark.
    ///
    /// Stricter than the RFC where that protects: a name may stand once in an object, surrogates come in pairs, and a
    /// number must fit a finite double.
    public static func parse(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.maxBytes else { throw .tooLong }
        var parser = JSONParser(bytes: bytes, maxDepth: limits.maxDepth)
        return try parser.parseText()
    }

    public static func parse(_ text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        try parse(Array(text.utf8), limits: limits)
    }
}

private struct JSONParser {
    private let bytes: [UInt8]
    private let maxDepth: Int
    private var offset = 0
    private var depth = 0

    init(bytes: [UInt8], maxDepth: Int) {
        self.bytes = bytes
        self.maxDepth = maxDepth
    }

    mutating func parseText() throws(JSONError) -> JSONValue {
        let value = try parseValue()
        skipWhitespace()
        guard offset == bytes.count else { throw .trailingBytes(at: offset) }
        return value
    }

    private mutating func parseValue() throws(JSONError) -> JSONValue {
        skipWhitespace()
        switch try peek() {
        case UInt8(ascii: "{"): return .object(try parseObject())
        case UInt8(ascii: "["): return .array(try parseArray())
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        default: return try parseNumber()
        }
    }

    private mutating func parseObject() throws(JSONError) -> JSONObject {
        try descend()
        var object = JSONObject()
        skipWhitespace()
        if try peek() == UInt8(ascii: "}") {
            ascend()
            return object
        }
        while true {
            skipWhitespace()
            let start = offset
            let key = try parseString()
            skipWhitespace()
            try expect(UInt8(ascii: ":"))
            guard object.append(key, try parseValue()) else { throw .duplicateKey(at: start) }
            skipWhitespace()
            if try peek() == UInt8(ascii: "}") {
                ascend()
                return object
            }
            try expect(UInt8(ascii: ","))
        }
    }

    private mutating func parseArray() throws(JSONError) -> [JSONValue] {
        try descend()
        var elements: [JSONValue] = []
        skipWhitespace()
        if try peek() == UInt8(ascii: "]") {
            ascend()
            return elements
        }
        while true {
            elements.append(try parseValue())
            skipWhitespace()
            if try peek() == UInt8(ascii: "]") {
                ascend()
                return elements
            }
            try expect(UInt8(ascii: ","))
        }
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for index in 0..<word.utf8CodeUnitCount {
            try expect(word.utf8Start[index])
        }
        return value
    }

    private mutating func parseNumber() throws(JSONError) -> JSONValue {
        let start = offset
        var isInteger = true
        if try peek() == UInt8(ascii: "-") { offset += 1 }
        let leadingZero = offset < bytes.count && bytes[offset] == UInt8(ascii: "0")
        let digits = skipDigits()
        // Not even a number: say which byte, as for any other.
        guard digits > 0 || offset > start else { throw .unexpectedByte(at: start) }
        guard digits == 1 || digits > 1 && !leadingZero else { throw .badNumber(at: start) }
        if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
            isInteger = false
            offset += 1
            guard skipDigits() > 0 else { throw .badNumber(at: start) }
        }
        if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            offset += 1
            if offset < bytes.count, bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-") {
                offset += 1
            }
            guard skipDigits() > 0 else { throw .badNumber(at: start) }
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger, text != "-0" {
            if let value = Int64(text) { return .int(value) }
            if let value = UInt64(text) { return .uint(value) }
        }
        guard let value = Double(text), value.isFinite else { throw .badNumber(at: start) }
        return .double(value)
    }

    private mutating func skipDigits() -> Int {
        let start = offset
        while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) { offset += 1 }
        return offset - start
    }

    private mutating func parseString() throws(JSONError) -> String {
        try expect(UInt8(ascii: "\""))
        let start = offset
        var unescaped: [UInt8]?
        var copied = start
        while true {
            switch try peek() {
            case UInt8(ascii: "\""):
                var content = bytes[copied..<offset]
                if var whole = unescaped {
                    whole += content
                    content = whole[...]
                }
                offset += 1
                guard let text = String(validating: content, as: UTF8.self) else { throw .badUTF8(at: start) }
                return text
            case UInt8(ascii: "\\"):
                var whole = unescaped ?? []
                unescaped = nil  // keeps the buffer uniquely referenced
                whole += bytes[copied..<offset]
                try parseEscape(into: &whole)
                copied = offset
                unescaped = whole
            case 0..<0x20: throw .unexpectedByte(at: offset)
            default: offset += 1
            }
        }
    }

    private mutating func parseEscape(into output: inout [UInt8]) throws(JSONError) {
        let start = offset
        offset += 1
        let letter = try peek()
        offset += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(letter)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "u"):
            var code = UInt32(try parseHex(start))
            if code & 0xFC00 == 0xD800 {
                guard offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
                    bytes[offset + 1] == UInt8(ascii: "u")
                else { throw .loneSurrogate(at: start) }
                offset += 2
                let low = UInt32(try parseHex(start))
                guard low & 0xFC00 == 0xDC00 else { throw .loneSurrogate(at: start) }
                code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(code) else { throw .loneSurrogate(at: start) }
            output += String(scalar).utf8
        default: throw .badEscape(at: start)
        }
    }

    private mutating func parseHex(_ start: Int) throws(JSONError) -> UInt16 {
        guard offset + 4 <= bytes.count else { throw .unexpectedEnd }
        var code: UInt16 = 0
        for byte in bytes[offset..<offset + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { throw .badEscape(at: start) }
            code = code << 4 | UInt16(digit)
        }
        offset += 4
        return code
    }

    private mutating func descend() throws(JSONError) {
        offset += 1
        depth += 1
        guard depth <= maxDepth else { throw .tooDeep }
    }

    private mutating func ascend() {
        offset += 1
        depth -= 1
    }

    private func peek() throws(JSONError) -> UInt8 {
        guard offset < bytes.count else { throw .unexpectedEnd }
        return bytes[offset]
    }

    private mutating func expect(_ byte: UInt8) throws(JSONError) {
        guard try peek() == byte else { throw .unexpectedByte(at: offset) }
        offset += 1
    }

    private mutating func skipWhitespace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }
}
