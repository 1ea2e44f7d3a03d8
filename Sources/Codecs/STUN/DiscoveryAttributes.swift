import Base

/// From where a client wants the answer to a Binding request (RFC 5780 section 7.2).
public struct ChangeRequest: OptionSet, Sendable, BitwiseCopyable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let address = ChangeRequest(rawValue: 0x4)
    public static let port = ChangeRequest(rawValue: 0x2)
}

extension STUNMessage {
    /// CHANGE-REQUEST; empty where it is absent, nil where it is malformed.
    public var changeRequest: ChangeRequest? {
        guard attribute(.changeRequest) != nil else { return [] }
        return number(.changeRequest).map { ChangeRequest(rawValue: $0 & 0x6) }
    }

    /// RESPONSE-PORT (RFC 5780 section 7.5), with or without its two reserved bytes counted; nil if it is absent, malformed
    /// or 0.
    public var responsePort: UInt16? {
        guard let attribute = attribute(.responsePort), [2, 4].contains(attribute.count) else { return nil }
        let port = bytes.bigEndian(at: attribute.offset, as: UInt16.self)
        return port == 0 ? nil : port
    }
}
