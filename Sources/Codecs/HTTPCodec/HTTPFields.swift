/// Header or trailer fields (RFC 9110 section 5), in the order they came. Names compare case-insensitively and keep
/// their spelling.
///
/// An ordered array with a linear scan: messages have few fields.
public struct HTTPFields: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    public struct Field: Equatable, Sendable {
        public let name: String
        public let value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }

        public static func == (left: Self, right: Self) -> Bool {
            left.value == right.value && equalsIgnoringCase(left.name, right.name)
        }
    }

    private var fields: [Field] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { Field(name: $0.0, value: $0.1) }
    }

    public var count: Int { fields.count }
    public var isEmpty: Bool { fields.isEmpty }

    /// The values under a name, joined with ", " when there are several (RFC 9110 section 5.3). Setting replaces them
    /// all by one, at the place of the first; nil removes them.
    public subscript(name: String) -> String? {
        get {
            var joined: String?
            for field in fields where equalsIgnoringCase(field.name, name) {
                joined = joined.map { $0 + ", " + field.value } ?? field.value
            }
            return joined
        }
        set {
            let place = fields.firstIndex { equalsIgnoringCase($0.name, name) }
            fields.removeAll { equalsIgnoringCase($0.name, name) }
            if let newValue { fields.insert(Field(name: name, value: newValue), at: place ?? fields.count) }
        }
    }

    /// Every value under a name, one per field line.
    public func values(of name: String) -> [String] {
        fields.compactMap { equalsIgnoringCase($0.name, name) ? $0.value : nil }
    }

    public func contains(_ name: String) -> Bool {
        fields.contains { equalsIgnoringCase($0.name, name) }
    }

    /// The members of a comma-separated list field, trimmed, empty ones left out (RFC 9110 section 5.6.1). Not for
    /// fields whose members may hold quoted commas.
    public func listMembers(of name: String) -> [String] {
        var members: [String] = []
        for field in fields where equalsIgnoringCase(field.name, name) {
            for member in field.value.utf8.split(separator: UInt8(ascii: ",")) {
                let text = trimmingWhitespace(member)
                if !text.isEmpty { members.append(String(text) ?? "") }
            }
        }
        return members
    }

    /// Whether a list field has the member, compared case-insensitively.
    public func list(_ name: String, contains member: String) -> Bool {
        fields.contains { field in
            equalsIgnoringCase(field.name, name)
                && field.value.utf8.split(separator: UInt8(ascii: ",")).contains {
                    equalsIgnoringCase(trimmingWhitespace($0), member.utf8)
                }
        }
    }

    /// Adds a field line, beside others of the same name.
    public mutating func append(name: String, value: String) {
        fields.append(Field(name: name, value: value))
    }

    public mutating func append(contentsOf other: HTTPFields) {
        fields.append(contentsOf: other.fields)
    }
}

extension HTTPFields: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { fields.count }
    public subscript(position: Int) -> Field { fields[position] }
}
