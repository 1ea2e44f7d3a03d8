import JSONCodec
import Testing

@Suite struct JSONValueTests {
    @Test func serialises() {
        let value: JSONValue = [
            "b": [1, -2, 1.5, .uint(.max), true, .null], "a": "é\"\\\n\u{1}/", "nested": ["x": [:]],
        ]
        let text = #"{"b":[1,-2,1.5,18446744073709551615,true,null],"a":"é\"\\\n\u0001/","nested":{"x":{}}}"#
        #expect(value.text == text)
        #expect(JSONValue.double(.nan).text == "null")
    }

    @Test func roundTrips() throws {
        var generator = SplitMix(state: 7)
        for _ in 0..<500 {
            let value = Self.random(depth: 4, using: &generator)
            #expect(try JSONValue.parse(value.serialized()) == value)
        }
    }

    @Test func readsIntegersAsProto3Does() {
        #expect(JSONValue.string("-9223372036854775808").int64 == .min)
        #expect(JSONValue.string("18446744073709551615").uint64 == .max)
        #expect(JSONValue.double(1e3).int64 == 1000)
        #expect(JSONValue.uint(1 << 63).int64 == nil)
        #expect(JSONValue.int(-1).uint64 == nil)
        for text in ["", "+1", "01", "-0", " 1", "1.0", "1e3", "9223372036854775808", "١"] {
            #expect(JSONValue.string(text).int64 == nil)
        }
        #expect(JSONValue.double(1.5).int64 == nil)
        #expect(JSONValue.bool(true).int64 == nil)
        #expect(JSONValue.decimal(UInt64.max) == "18446744073709551615")
        #expect(JSONValue(UInt64(5)) == 5)
        #expect(JSONValue(UInt64.max) == .uint(.max))
    }

    @Test func readsBytesAsProto3Does() {
        let bytes: [UInt8] = [0xFB, 0xEF, 0xFF, 0x01]
        #expect(JSONValue.base64(bytes) == "++//AQ==")
        for text in ["++//AQ==", "++//AQ", "--__AQ", "--__AQ=="] {
            #expect(JSONValue.string(text).base64 == bytes)
        }
        for text in ["++//AQ=", "A", "++//AR==", "*", "++//AQ==="] {
            #expect(JSONValue.string(text).base64 == nil)
        }
        #expect(JSONValue.string("").base64 == [])
    }

    @Test func members() {
        var value: JSONValue = ["a": 1]
        value["b"] = "x"
        value["a"] = nil
        #expect(value == ["b": "x"])
        value["b"] = .null
        #expect(value["b"]?.isNull == true)
        #expect(value["c"] == nil)
        #expect(value["b"]?["c"] == nil)
        #expect(JSONValue.array([1, 2])[1] == 2)
        #expect(JSONValue.array([1, 2])[2] == nil)
        #expect((["a": 1, "b": 2] as JSONValue) == ["b": 2, "a": 1])
        #expect((["a": 1, "b": 2] as JSONValue) != ["b": 2, "c": 1])
        let absent: String? = nil
        #expect(.object(["a": "x", "b": absent.map(JSONValue.string)]) == ["a": "x"] as JSONValue)
    }

    private static func random(depth: Int, using generator: inout SplitMix) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 7), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return .int(.random(in: .min ... .max, using: &generator))
        case 3: return .uint(.random(in: 1 << 63 ... .max, using: &generator))
        case 4:
            let value = Double(bitPattern: generator.next())
            return .double(value.isFinite ? value : 0.1)
        case 5, 6: return .string(randomText(using: &generator))
        case 7:
            return .array(
                (0..<Int.random(in: 0...20, using: &generator)).map { _ in random(depth: depth - 1, using: &generator) }
            )
        default:
            var value: JSONValue = [:]
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                value[randomText(using: &generator)] = random(depth: depth - 1, using: &generator)
            }
            return value
        }
    }

    private static func randomText(using generator: inout SplitMix) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            let limit: UInt32 = [0x80, 0x800, 0x11_0000].randomElement(using: &generator) ?? 0x80
            text.append(Unicode.Scalar(UInt32.random(in: 0..<limit, using: &generator)) ?? "\u{FFFD}")
        }
        return String(text)
    }
}

/// Repeatable random numbers, so that a failure can be seen again.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
