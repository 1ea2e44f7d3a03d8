/// Header or trailer fields (RFC 9110 section 5), in the order they came. Names compare case-insensitively and keep
/// their spelling.
///
/// An ordered list with a linear scan: messages have few fields. Those that a parser has found are the head's own bytes;
/// text is made of a field when somebody asks for it.
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

    private enum Storage: Sendable {
        case parsed(FieldLines)
        /// Names and values. No labels: the literal's own array is kept.
        case listed([(String, String)])
    }

    private var storage: Storage

    public init() { storage = .listed([]) }

    public init(dictionaryLiteral elements: (String, String)...) { storage = .listed(elements) }

    init(_ lines: FieldLines) { storage = .parsed(lines) }

    public var count: Int {
        switch storage {
        case .parsed(let lines): lines.count
        case .listed(let fields): fields.count
        }
    }

    public var isEmpty: Bool { count == 0 }

    /// The values under a name, joined with ", " when there are several (RFC 9110 section 5.3). Setting replaces them
    /// all by one, at the place of the first; nil removes them.
    public subscript(name: String) -> String? {
        get {
            var joined: String?
            forEachValue(of: name) { value in joined = joined.map { $0 + ", " + value } ?? value }
            return joined
        }
        set {
            var fields = listed
            let place = fields.firstIndex { equalsIgnoringCase($0.0, name) }
            fields.removeAll { equalsIgnoringCase($0.0, name) }
            if let newValue { fields.insert((name, newValue), at: place ?? fields.count) }
            storage = .listed(fields)
        }
    }

    /// Every value under a name, one per field line.
    public func values(of name: String) -> [String] {
        var values: [String] = []
        forEachValue(of: name) { values.append($0) }
        return values
    }

    public func contains(_ name: String) -> Bool {
        switch storage {
        case .parsed(let lines):
            for index in 0..<lines.count where lines.isNamed(name, at: index) { return true }
        case .listed(let fields):
            for field in fields where equalsIgnoringCase(field.0, name) { return true }
        }
        return false
    }

    /// The members of a comma-separated list field, trimmed, empty ones left out (RFC 9110 section 5.6.1). Not for
    /// fields whose members may hold quoted commas.
    public func listMembers(of name: String) -> [String] {
        var members: [String] = []
        forEachValue(of: name) { value in
            for member in value.utf8.split(separator: UInt8(ascii: ",")) {
                let text = trimmingWhitespace(member)
                if !text.isEmpty { members.append(String(text) ?? "") }
            }
        }
        return members
    }

    /// Whether a list field has the member, compared case-insensitively.
    public func list(_ name: String, contains member: String) -> Bool {
        var isFound = false
        forEachValue(of: name) { value in
            isFound =
                isFound
                || value.utf8.split(separator: UInt8(ascii: ",")).contains {
                    equalsIgnoringCase(trimmingWhitespace($0), member.utf8)
                }
        }
        return isFound
    }

    /// Adds a field line, beside others of the same name.
    public mutating func append(name: String, value: String) {
        var fields = listed
        storage = .listed([])
        fields.append((name, value))
        storage = .listed(fields)
    }

    public mutating func append(contentsOf other: HTTPFields) {
        var fields = listed
        storage = .listed([])
        fields.append(contentsOf: other.listed)
        storage = .listed(fields)
    }

    private var listed: [(String, String)] {
        switch storage {
        case .parsed(let lines): (0..<lines.count).map { (lines.name(at: $0), lines.value(at: $0)) }
        case .listed(let fields): fields
        }
    }

    @inline(__always)
    private func forEachValue(of name: String, _ body: (String) -> Void) {
        switch storage {
        case .parsed(let lines):
            for index in 0..<lines.count where lines.isNamed(name, at: index) { body(lines.value(at: index)) }
        case .listed(let fields):
            for field in fields where equalsIgnoringCase(field.0, name) { body(field.1) }
        }
    }

    public static func == (left: Self, right: Self) -> Bool { left.elementsEqual(right) }
}

extension HTTPFields: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { count }

    public subscript(position: Int) -> Field {
        switch storage {
        case .parsed(let lines): Field(name: lines.name(at: position), value: lines.value(at: position))
        case .listed(let fields): Field(name: fields[position].0, value: fields[position].1)
        }
    }
}
