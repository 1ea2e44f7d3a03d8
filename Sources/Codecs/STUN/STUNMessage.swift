import Base

/// An attribute's place within its message.
public struct STUNAttribute: Equatable, Sendable, BitwiseCopyable {
    public let type: STUNAttributeType
    /// Offset of the value's first byte from the start of the message.
    public let offset: Int
    /// Size of the value without padding.
    public let count: Int

    public var range: Range<Int> { offset..<offset + count }

    var headerOffset: Int { offset - STUNHeader.attributeHeaderByteCount }

    /// Reads a header, which must lie within the bytes (precondition); the value may not.
    init(headerAt start: Int, in bytes: RawSpan) {
        type = STUNAttributeType(rawValue: bytes.bigEndian(at: start, as: UInt16.self))
        offset = start + STUNHeader.attributeHeaderByteCount
        count = Int(bytes.bigEndian(at: start + 2, as: UInt16.self))
    }
}

/// A STUN message read in place (RFC 8489 section 5): nothing is copied until a value is asked for.
///
/// The initialiser checks the header, that every attribute lies within the message, and FINGERPRINT where there is one;
/// reading attributes afterwards cannot fail on the structure. Attributes after MESSAGE-INTEGRITY or
/// MESSAGE-INTEGRITY-SHA256 are not seen (sections 14.5 and 14.6); the code itself is checked by `hasValidIntegrity`.
public struct STUNMessage: ~Escapable {
    public let type: STUNMessageType
    public let transactionID: TransactionID
    public let hasFingerprint: Bool
    let bytes: RawSpan
    /// MESSAGE-INTEGRITY, unless it is behind MESSAGE-INTEGRITY-SHA256.
    let sha1Attribute: STUNAttribute?
    /// MESSAGE-INTEGRITY-SHA256.
    let sha256Attribute: STUNAttribute?
    /// End of the attributes that count.
    let end: Int

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(STUNError) {
        guard bytes.byteCount >= STUNHeader.byteCount else { throw .truncated }
        guard let type = STUNMessageType(field: bytes.bigEndian(at: 0, as: UInt16.self)),
            bytes.bigEndian(at: 4, as: UInt32.self) == STUNHeader.magicCookie
        else { throw .notSTUN }
        let length = Int(bytes.bigEndian(at: 2, as: UInt16.self))
        guard length % 4 == 0 else { throw .badLength }
        let total = STUNHeader.byteCount + length
        guard bytes.byteCount >= total else { throw .truncated }
        guard bytes.byteCount == total else { throw .badLength }

        var sha1Attribute: STUNAttribute?
        var sha256Attribute: STUNAttribute?
        var fingerprintOffset: Int?
        var offset = STUNHeader.byteCount
        while offset < total {
            // Every attribute is a multiple of four bytes, so that a header is always whole.
            let attribute = STUNAttribute(headerAt: offset, in: bytes)
            let count = attribute.count
            let next = attribute.offset + STUNHeader.padded(count)
            guard next <= total else { throw .attributeOverrun }
            if attribute.type == .messageIntegrity, sha1Attribute == nil, sha256Attribute == nil {
                guard STUNIntegrity.sha1.allows(byteCount: count) else { throw .badIntegrityAttribute }
                sha1Attribute = attribute
            } else if attribute.type == .messageIntegritySHA256, sha256Attribute == nil {
                guard STUNIntegrity.sha256.allows(byteCount: count) else { throw .badIntegrityAttribute }
                sha256Attribute = attribute
            } else if attribute.type == .fingerprint {
                guard count == STUNHeader.fingerprintByteCount else { throw .badIntegrityAttribute }
                guard next == total else { throw .fingerprintNotLast }
                fingerprintOffset = offset
            }
            offset = next
        }
        if let fingerprintOffset {
            let expected = bytes.withUnsafeBytes {
                fingerprint(of: UnsafeRawBufferPointer(rebasing: $0[..<fingerprintOffset]))
            }
            guard bytes.bigEndian(at: fingerprintOffset + 4, as: UInt32.self) == expected else {
                throw .fingerprintMismatch
            }
        }
        self.bytes = bytes
        self.type = type
        transactionID = TransactionID(
            high: bytes.bigEndian(at: 8, as: UInt32.self), low: bytes.bigEndian(at: 12, as: UInt64.self))
        hasFingerprint = fingerprintOffset != nil
        self.sha1Attribute = sha1Attribute
        self.sha256Attribute = sha256Attribute
        end = (sha1Attribute ?? sha256Attribute)?.headerOffset ?? fingerprintOffset ?? total
    }

    /// The attribute after the given one, or the first.
    public func attribute(after previous: STUNAttribute? = nil) -> STUNAttribute? {
        let start = previous.map { $0.offset + STUNHeader.padded($0.count) } ?? STUNHeader.byteCount
        guard start < end else { return nil }
        return STUNAttribute(headerAt: start, in: bytes)
    }

    /// The first attribute of a type; further ones are ignored (RFC 8489 section 14).
    public func attribute(_ type: STUNAttributeType) -> STUNAttribute? {
        var current = attribute()
        while let found = current {
            if found.type == type { return found }
            current = attribute(after: found)
        }
        return nil
    }

    /// Types of the attributes that must be understood and are not, in order of appearance, at most `limit`.
    public func unknownAttributes(
        limit: Int, understood: STUNAttributeSet = .relay
    ) -> [STUNAttributeType] {
        var unknown: [STUNAttributeType] = []
        var current = attribute()
        while let found = current, unknown.count < limit {
            if found.type.isComprehensionRequired, !understood.contains(found.type), !unknown.contains(found.type) {
                unknown.append(found.type)
            }
            current = attribute(after: found)
        }
        return unknown
    }

    /// Whether a relay understands every attribute that it must. Allocates nothing.
    public var isUnderstood: Bool {
        var current = attribute()
        while let found = current {
            if found.type.isComprehensionRequired, !STUNAttributeSet.relay.contains(found.type) { return false }
            current = attribute(after: found)
        }
        return true
    }
}
