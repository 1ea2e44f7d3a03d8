/// The members of a JSON object, in the order in which they were written. Names are unique.
///
/// Two objects are equal when they have the same members, in whatever order.
public struct JSONObject: Sendable {
    public private(set) var keys: [String] = []
    public private(set) var values: [JSONValue] = []
    /// Position by name, kept once a linear search would be slow: a peer may send many members.
    private var positions: [String: Int]?

    private static let linearSearchLimit = 12

    public init() {}

    public var count: Int { keys.count }
    public var isEmpty: Bool { keys.isEmpty }

    public subscript(key: String) -> JSONValue? {
        get { position(of: key).map { values[$0] } }
        set {
            switch (position(of: key), newValue) {
            case (let position?, let value?): values[position] = value
            case (nil, let value?): insert(key, value)
            case (let position?, nil): remove(at: position)
            case (nil, nil): break
            }
        }
    }

    /// Adds a member; returns false, and changes nothing, when there is one of that name.
    mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        guard position(of: key) == nil else { return false }
        insert(key, value)
        return true
    }

    private func position(of key: String) -> Int? {
        positions.map { $0[key] } ?? keys.firstIndex(of: key)
    }

    private mutating func insert(_ key: String, _ value: JSONValue) {
        positions?[key] = keys.count
        keys.append(key)
        values.append(value)
        if positions == nil, keys.count > Self.linearSearchLimit { index() }
    }

    private mutating func remove(at position: Int) {
        keys.remove(at: position)
        values.remove(at: position)
        if positions != nil { index() }
    }

    private mutating func index() {
        positions = Dictionary(uniqueKeysWithValues: zip(keys, keys.indices))
    }
}

extension JSONObject: Equatable {
    public static func == (left: Self, right: Self) -> Bool {
        left.count == right.count && left.allSatisfy { right[$0.key] == $0.value }
    }
}

extension JSONObject: Sequence {
    public func makeIterator() -> AnyIterator<(key: String, value: JSONValue)> {
        var index = 0
        return AnyIterator {
            guard index < keys.count else { return nil }
            defer { index += 1 }
            return (key: keys[index], value: values[index])
        }
    }
}
