import Base

/// Reading a value as a type. Each is nil when the value is of another kind; numbers follow the proto3 JSON mapping, which
/// takes integers as numbers or as strings of digits.
extension JSONValue {
    public var isNull: Bool { self == .null }

    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    public var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    public var array: [JSONValue]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    public var object: JSONObject? {
        guard case .object(let value) = self else { return nil }
        return value
    }

    /// Also from a decimal string in its one canonical spelling, and from a double without fraction.
    public var int64: Int64? { integer() }

    /// As `int64`.
    public var uint64: UInt64? { integer() }

    /// As `int64`.
    public var int: Int? { integer() }

    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .uint(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// Bytes of the proto3 JSON mapping: base64 in either alphabet, with or without padding.
    public var base64: [UInt8]? {
        guard case .string(let text) = self else { return nil }
        guard text.hasSuffix("=") else {
            return Base64.decode(text.replacing("+", with: "-").replacing("/", with: "_"), .url)
        }
        return Base64.decode(text.replacing("-", with: "+").replacing("_", with: "/"), .standard)
    }

    /// Bytes as padded base64.
    public static func base64(_ bytes: some Collection<UInt8>) -> JSONValue { .string(Base64.encode(bytes)) }

    private func integer<Value: FixedWidthInteger>() -> Value? {
        switch self {
        case .int(let value): Value(exactly: value)
        case .uint(let value): Value(exactly: value)
        case .double(let value): Value(exactly: value)
        case .string(let text): Value(text).flatMap { String($0) == text ? $0 : nil }
        default: nil
        }
    }
}
