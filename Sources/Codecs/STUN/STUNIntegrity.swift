import Base
import Crypto

/// How a message is authenticated: MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 (RFC 8489 sections 14.5 and 14.6).
public enum STUNIntegrity: Sendable, BitwiseCopyable {
    case sha1
    case sha256

    var attribute: STUNAttributeType { self == .sha1 ? .messageIntegrity : .messageIntegritySHA256 }

    var byteCount: Int { self == .sha1 ? 20 : 32 }

    /// Whether the value of the attribute may have this size: MESSAGE-INTEGRITY-SHA256 may be truncated where a usage says so.
    func allows(byteCount count: Int) -> Bool {
        self == .sha1 ? count == 20 : (16...32).contains(count) && count % 4 == 0
    }

    /// The code of a message: over its first `count` bytes, with the length field as if it ended behind the attribute.
    /// Allocates nothing.
    ///
    /// - Parameters:
    ///   - attributeByteCount: of the value that stands in the message.
    ///   - output: room for `byteCount` bytes.
    func authenticate(
        _ message: UnsafeRawBufferPointer, count: Int, attributeByteCount: Int, key: LongTermKey,
        into output: UnsafeMutableRawBufferPointer
    ) {
        let length = UInt16(count + STUNHeader.attributeHeaderByteCount + attributeByteCount - STUNHeader.byteCount)
        var head = UInt32(message.loadUnaligned(as: UInt16.self).bigEndian) << 16 | UInt32(length)
        head = head.bigEndian
        let rest = UnsafeRawBufferPointer(rebasing: message[4..<count])
        withUnsafeBytes(of: head) { head in
            key.withUnsafeBytes { key in
                switch self {
                case .sha1: HMAC.sha1(key: key, head, rest, into: output)
                case .sha256: HMAC.sha256(key: key, head, rest, into: output)
                }
            }
        }
    }
}

extension STUNMessage {
    /// Which of the two codes `hasValidIntegrity` checks: the stronger one where both are there.
    public var integrity: STUNIntegrity? {
        sha256Attribute != nil ? .sha256 : sha1Attribute != nil ? .sha1 : nil
    }

    /// Whether the message is authenticated by `key`. A MESSAGE-INTEGRITY-SHA256 that is truncated never is: none of the
    /// usages here allows that (RFC 8489 section 14.6). Allocates nothing.
    public func hasValidIntegrity(_ key: LongTermKey) -> Bool {
        guard let integrity, let attribute = sha256Attribute ?? sha1Attribute, attribute.count == integrity.byteCount
        else { return false }
        return bytes.withUnsafeBytes { message in
            withUnsafeTemporaryAllocation(byteCount: integrity.byteCount, alignment: 8) { code in
                integrity.authenticate(
                    message, count: attribute.offset - STUNHeader.attributeHeaderByteCount,
                    attributeByteCount: attribute.count, key: key, into: code)
                return constantTimeEquals(
                    UnsafeRawBufferPointer(code), UnsafeRawBufferPointer(rebasing: message[attribute.range]))
            }
        }
    }
}
