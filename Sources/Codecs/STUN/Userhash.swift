import Base
import Crypto

/// A user's name that says nothing to those who do not know the name: SHA-256 of `username:realm` (RFC 8489 section 14.4).
public struct Userhash: Hashable, Sendable, BitwiseCopyable {
    public static let byteCount = 32
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// Name and realm are taken as they are: the caller has applied OpaqueString where users type them.
    public init(username: String, realm: String) {
        self.init(checked: Digest.sha256(Array("\(username):\(realm)".utf8)))
    }

    /// - Returns: nil unless there are 32 bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(checked: bytes)
    }

    private init(checked bytes: some Collection<UInt8>) {
        Swift.withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
    }

    public var bytes: [UInt8] { Swift.withUnsafeBytes(of: words) { Array($0) } }

    public static func == (left: Userhash, right: Userhash) -> Bool { left.words == right.words }

    public func hash(into hasher: inout Hasher) {
        Swift.withUnsafeBytes(of: words) { hasher.combine(bytes: $0) }
    }
}

extension STUNMessage {
    /// USERHASH; nil if it is absent or has another size.
    public var userhash: Userhash? {
        guard let attribute = attribute(.userhash) else { return nil }
        return bytes.withUnsafeBytes { Userhash(bytes: $0[attribute.range]) }
    }
}
