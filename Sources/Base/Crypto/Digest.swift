import COpenSSL

/// One-shot hashes. SHA-1 and MD5 are here for the protocols that fix them (STUN, WebSocket), nothing else.
public enum Digest {
    /// 32 bytes.
    public static func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { hash(bytes, EVP_sha256(), 32) }
    /// 20 bytes.
    public static func sha1(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { hash(bytes, EVP_sha1(), 20) }
    /// 16 bytes.
    public static func md5(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { hash(bytes, EVP_md5(), 16) }

    public static func sha256(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes(sha256) }
    public static func sha1(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes(sha1) }
    public static func md5(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes(md5) }

    private static func hash(_ bytes: UnsafeRawBufferPointer, _ algorithm: OpaquePointer?, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
            let done = EVP_Digest(bytes.baseAddress, bytes.count, output.baseAddress, nil, algorithm, nil)
            precondition(done == 1, "the hash is not available in libcrypto")
            initialized = count
        }
    }
}

/// `count` bytes (at most 1 MiB) from the operating system's generator.
public func randomBytes(_ count: Int) -> [UInt8] {
    precondition((0...1 << 20).contains(count))
    return [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
        precondition(count == 0 || RAND_bytes(output.baseAddress, Int32(count)) == 1, "no random bytes")
        initialized = count
    }
}
