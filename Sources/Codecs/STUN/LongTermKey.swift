import Crypto

/// The key of MESSAGE-INTEGRITY under long-term credentials: MD5 of `username:realm:password` (RFC 8489 section 9.2.2).
///
/// The password is taken as it is: the caller has applied OpaqueString where users type it.
public struct LongTermKey: Hashable, Sendable, BitwiseCopyable {
    private let high: UInt64
    private let low: UInt64

    public init(username: String, realm: String, password: String) {
        let digest = Digest.md5(Array("\(username):\(realm):\(password)".utf8))
        high = digest[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = digest[8...].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// 16 bytes.
    public var bytes: [UInt8] {
        [high, low].flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }
    }
}
