/// A value of a YAML document, with the line that it begins on.
struct YAMLNode: Equatable {
    indirect enum Content: Equatable {
        /// Plain: without quotes, so that it may be a number or a truth value.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    struct Entry: Equatable {
        var key: String
        var line: Int
        var value: YAMLNode
    }

    var content: Content
    var line: Int

    /// Nothing was written: `key:` alone, or one of YAML's words for it.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }
}
