import JSONCodec

extension FuzzTarget {
    /// JSON texts, within the usual and within narrow limits.
    static let json = FuzzTarget("json") { input throws(BrokenProperty) in
        if let value = try? JSONValue.parse(input) {
            let written = value.serialized()
            let again = try held("what was written is refused") { () throws(JSONError) in try JSONValue.parse(written) }
            try holdEqual(again, value, "the value that was written")
            try holdEqual(again.serialized(), written, "the text that was written again")
            read(value)
        }
        let limits = JSONLimits(maxBytes: 64, maxDepth: 3)
        if let value = try? JSONValue.parse(input, limits: limits) {
            try hold(input.count <= limits.maxBytes && depth(of: value) <= limits.maxDepth, "a value beyond its limits")
        }
    }

    private static func read(_ value: JSONValue) {
        _ = (value.bool, value.string, value.int64, value.uint64, value.int, value.double, value.base64, value["a"])
        for element in value.array ?? [] { read(element) }
        for member in value.object ?? JSONObject() { read(member.value) }
    }

    private static func depth(of value: JSONValue) -> Int {
        switch value {
        case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
        case .object(let object): 1 + (object.values.map(depth).max() ?? 0)
        default: 0
        }
    }
}
