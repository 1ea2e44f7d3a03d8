import Crypto

/// The key of MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256, kept inline.
public struct LongTermKey: Hashable, Sendable, BitwiseCopyable {
    /// The longest key that fits.
    public static let maxByteCount = 32
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private let count: UInt8

    /// The key of long-term credentials: a hash of `username:realm:password`, 16 bytes of MD5 or 32 of SHA-256
    /// (RFC 8489 sections 18.5.1.1 and 18.5.1.2).
    ///
    /// Realm and password are taken as they are: the caller has applied OpaqueString where users type them.
    public init(username: String, realm: String, password: String, algorithm: PasswordAlgorithm = .md5) {
        let text = Array("\(username):\(realm):\(password)".utf8)
        self.init(checked: algorithm == .md5 ? Digest.md5(text) : Digest.sha256(text))
    }

    /// A key that is given: a short-term credential's password, or what an access token carries.
    ///
    /// - Returns: nil if it is empty or longer than `maxByteCount`.
    public init?(bytes: some Collection<UInt8>) {
        guard (1...Self.maxByteCount).contains(bytes.count) else { return nil }
        self.init(checked: bytes)
    }

    private init(checked bytes: some Collection<UInt8>) {
        count = UInt8(bytes.count)
        Swift.withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
    }

    public func withUnsafeBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        Swift.withUnsafeBytes(of: words) { body(UnsafeRawBufferPointer(rebasing: $0[..<Int(count)])) }
    }

    public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    public static func == (left: LongTermKey, right: LongTermKey) -> Bool {
        left.count == right.count && left.words == right.words
    }

    public func hash(into hasher: inout Hasher) {
        withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}
