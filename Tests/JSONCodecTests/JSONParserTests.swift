import JSONCodec
import Testing

@Suite struct JSONParserTests {
    @Test(
        arguments: [
            ("null", .null),
            (" \t\r\ntrue ", true),
            ("false", false),
            ("0", 0),
            ("-0", .double(-0.0)),
            ("-9223372036854775808", .int(.min)),
            ("9223372036854775807", .int(.max)),
            ("9223372036854775808", .uint(1 << 63)),
            ("18446744073709551615", .uint(.max)),
            ("18446744073709551616", .double(18446744073709551616)),
            ("1.5e2", .double(150)),
            ("1E-2", .double(0.01)),
            (#""""#, ""),
            (#""a\"\\\/\b\f\n\r\tz""#, .string("a\"\\/\u{8}\u{C}\n\r\tz")),
            (#""\u00e9\u20AC\ud83d\ude00""#, "é€😀"),
            (#""é€😀""#, "é€😀"),
            (#""\u0000""#, "\0"),
            ("[]", []),
            ("[ 1 , [2],{} ]", [1, [2], [:]]),
            (#"{"a":1,"b":{"a":null}}"#, ["a": 1, "b": ["a": .null]]),
        ] as [(String, JSONValue)])
    func valid(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONValue.parse(text) == value)
    }

    @Test(
        arguments: [
            ("", .unexpectedEnd),
            ("  ", .unexpectedEnd),
            ("nul", .unexpectedEnd),
            ("nule", .unexpectedByte(at: 3)),
            ("True", .unexpectedByte(at: 0)),
            ("NaN", .unexpectedByte(at: 0)),
            ("+1", .unexpectedByte(at: 0)),
            (".5", .unexpectedByte(at: 0)),
            ("01", .badNumber(at: 0)),
            ("-", .badNumber(at: 0)),
            ("-a", .badNumber(at: 0)),
            ("-01", .badNumber(at: 0)),
            ("1.", .badNumber(at: 0)),
            ("1e", .badNumber(at: 0)),
            ("1e999", .badNumber(at: 0)),
            ("0x10", .trailingBytes(at: 1)),
            ("1 2", .trailingBytes(at: 2)),
            ("{}}", .trailingBytes(at: 2)),
            ("[1,]", .unexpectedByte(at: 3)),
            ("[1 2]", .unexpectedByte(at: 3)),
            ("[", .unexpectedEnd),
            ("{\"a\"", .unexpectedEnd),
            ("{\"a\" 1}", .unexpectedByte(at: 5)),
            ("{\"a\":1,}", .unexpectedByte(at: 7)),
            ("{a:1}", .unexpectedByte(at: 1)),
            ("{'a':1}", .unexpectedByte(at: 1)),
            (#"{"a":1,"a":2}"#, .duplicateKey(at: 7)),
            (#"{"a":1,"\u0061":2}"#, .duplicateKey(at: 7)),
            ("\"", .unexpectedEnd),
            ("\"\n\"", .unexpectedByte(at: 1)),
            (#""\x""#, .badEscape(at: 1)),
            (#""\u12g4""#, .badEscape(at: 1)),
            (#""\u12"#, .unexpectedEnd),
            (#""\ud83d""#, .loneSurrogate(at: 1)),
            (#""\ud83dx\ude00""#, .loneSurrogate(at: 1)),
            (#""\ud83d\u0041""#, .loneSurrogate(at: 1)),
            (#""\ude00""#, .loneSurrogate(at: 1)),
            ("\u{FEFF}1", .unexpectedByte(at: 0)),
            ("// a\n1", .unexpectedByte(at: 0)),
        ] as [(String, JSONError)])
    func invalid(_ text: String, _ error: JSONError) {
        #expect(throws: error) { try JSONValue.parse(text) }
    }

    @Test(
        arguments: [
            [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80], [0xC3], [0xFF],
        ] as [[UInt8]])
    func invalidUTF8(_ bytes: [UInt8]) {
        #expect(throws: JSONError.badUTF8(at: 1)) { try JSONValue.parse([0x22] + bytes + [0x22]) }
    }

    @Test func limits() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        let limits = JSONLimits(maxBytes: 16, maxDepth: 4)
        _ = try JSONValue.parse(nested(4), limits: limits)
        #expect(throws: JSONError.tooDeep) { try JSONValue.parse(nested(5), limits: limits) }
        #expect(throws: JSONError.tooLong) { try JSONValue.parse(nested(9), limits: limits) }
        // Siblings do not count.
        _ = try JSONValue.parse("[[[[]]],[[[]]]]", limits: limits)
        #expect(throws: JSONError.tooDeep) { try JSONValue.parse(nested(100_000)) }
    }

    @Test func manyMembers() throws {
        let text = "{" + (0..<5000).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}"
        let value = try JSONValue.parse(text)
        #expect(value["k4999"] == 4999)
        #expect(throws: JSONError.self) { try JSONValue.parse(text.dropLast() + ",\"k7\":1}") }
    }

    /// Every prefix and every single changed byte of a text ends in a value or an error.
    @Test func survivesAnyBytes() throws {
        let text = Array(#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00\\",true,null],"é":{"b":[]}}"#.utf8)
        for end in text.indices {
            #expect(throws: JSONError.self) { try JSONValue.parse(Array(text[..<end])) }
        }
        for index in text.indices {
            for byte: UInt8 in [0, 0x22, 0x5C, 0x7B, 0x5D, 0x2C, 0x30, 0x80, 0xFF] {
                var changed = text
                changed[index] = byte
                _ = try? JSONValue.parse(changed)
            }
        }
    }
}
