/// Why bytes are not a frame.
public enum WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not a JSON object, or not the protobuf wire format.
    case malformed
    /// A `type` that does not exist; the text is cut after 64 bytes.
    case unknownType(String, allowed: [String])
    case missing(field: String)
    case invalid(field: String, expected: String)
    /// More bytes or elements than allowed.
    case tooLarge(field: String, limit: Int)

    public var description: String {
        switch self {
        case .malformed: "the frame is malformed"
        case .unknownType(let type, let allowed):
            "there is no frame of type \"\(type)\"; allowed: \(allowed.joined(separator: ", "))"
        case .missing(let field): "the field \(field) is missing"
        case .invalid(let field, let expected): "the field \(field) is wrong; expected \(expected)"
        case .tooLarge(let field, let limit): "the field \(field) is too large; allowed: \(limit)"
        }
    }
}
