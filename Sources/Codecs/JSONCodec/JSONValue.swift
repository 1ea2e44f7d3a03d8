/// A JSON value (RFC 8259).
///
/// Integers keep their 64 bits: a number without fraction and exponent is `.int` where it fits, `.uint` only above
/// `Int64.max`, and `.double` beyond that.
public enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Above `Int64.max` only, so that equal numbers have one form.
    case uint(UInt64)
    /// Finite. A value that is not is written as `null`.
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// A member of an object; nil when it is absent or this is no object. Setting nil removes the member; setting on
    /// anything but an object is a fault of ours (precondition).
    public subscript(key: String) -> JSONValue? {
        get {
            guard case .object(let object) = self else { return nil }
            return object[key]
        }
        set {
            guard case .object(var object) = self else {
                preconditionFailure("member of a JSON value that is no object")
            }
            self = .null  // leaves `object` uniquely referenced
            object[key] = newValue
            self = .object(object)
        }
    }

    /// An element of an array; nil when it is absent or this is no array.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }
}

extension JSONValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringInterpolation, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (key, value) in elements {
            precondition(object.append(key, value), "two members of a JSON object with one name")
        }
        self = .object(object)
    }
}

extension JSONValue {
    public init(_ value: some BinaryInteger) {
        if let value = Int64(exactly: value) {
            self = .int(value)
        } else if let value = UInt64(exactly: value) {
            self = .uint(value)
        } else {
            self = .double(Double(value))
        }
    }

    /// A 64-bit integer the way the proto3 JSON mapping writes it: as a string of decimal digits.
    public static func decimal(_ value: some BinaryInteger) -> JSONValue { .string(String(value)) }

    public static func object(_ members: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        var object = JSONObject()
        for (key, value) in members {
            guard let value else { continue }
            precondition(object.append(key, value), "two members of a JSON object with one name")
        }
        return .object(object)
    }
}
