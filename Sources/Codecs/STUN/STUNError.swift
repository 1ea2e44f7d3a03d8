/// Why bytes are not a STUN message. A server discards such a datagram without an answer (RFC 8489 section 6.3).
public enum STUNError: Error, Equatable, Sendable {
    /// Fewer than the 20 bytes of a header, or fewer than the header announces.
    case truncated
    /// The first two bits or the magic cookie are those of another protocol.
    case notSTUN
    /// The length field is not a multiple of four, or bytes follow the message.
    case badLength
    /// An attribute reaches beyond the end of the message.
    case attributeOverrun
    /// MESSAGE-INTEGRITY or FINGERPRINT has a wrong size.
    case badIntegrityAttribute
    /// A message of a stream is longer than its receiver takes.
    case tooLong
    /// Attributes follow FINGERPRINT.
    case fingerprintNotLast
    /// FINGERPRINT does not match the bytes.
    case fingerprintMismatch
}
