import COpenSSL
import CShims

/// HMAC (RFC 2104) in one shot.
public enum HMAC {
    /// 32 bytes.
    public static func sha256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { output, initialized in
            key.withUnsafeBytes { key in
                message.withUnsafeBytes { sha256(key: key, $0, into: UnsafeMutableRawBufferPointer(output)) }
            }
            initialized = 32
        }
    }

    /// 20 bytes.
    public static func sha1(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 20) { output, initialized in
            key.withUnsafeBytes { key in
                message.withUnsafeBytes { sha1(key: key, $0, into: UnsafeMutableRawBufferPointer(output)) }
            }
            initialized = 20
        }
    }

    /// Authenticates the concatenation of the pieces; allocates nothing.
    ///
    /// - Parameter output: room for 32 bytes (precondition).
    public static func sha256(
        key: UnsafeRawBufferPointer, _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(output.count >= 32)
        skerry_hmac_sha256(
            key.baseAddress, key.count, first.baseAddress, first.count, second.baseAddress, second.count,
            output.bindMemory(to: UInt8.self).baseAddress)
    }

    /// Authenticates the concatenation of the pieces; allocates nothing.
    ///
    /// - Parameter output: room for 20 bytes (precondition).
    public static func sha1(
        key: UnsafeRawBufferPointer, _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(output.count >= 20)
        skerry_hmac_sha1(
            key.baseAddress, key.count, first.baseAddress, first.count, second.baseAddress, second.count,
            output.bindMemory(to: UInt8.self).baseAddress)
    }
}

/// An HMAC whose key schedule is kept, for callers that authenticate many messages under one key without allocating.
///
/// - Important: not for use by two threads at once; each event loop has its own.
public final class HMACKey {
    public enum Hash: Sendable { case sha1, sha256 }

    /// Bytes of a code: 20 or 32.
    public let count: Int
    private let context: OpaquePointer

    public init(_ hash: Hash, key: [UInt8]) {
        count = hash == .sha1 ? 20 : 32
        let algorithm = EVP_MAC_fetch(nil, "HMAC", nil)
        guard let created = EVP_MAC_CTX_new(algorithm) else {
            preconditionFailure("HMAC is not available in libcrypto")
        }
        EVP_MAC_free(algorithm)
        context = created
        var name = Array((hash == .sha1 ? "SHA1" : "SHA256").utf8CString)
        // The parameter keeps the pointers to both texts, which live as long as it is used.
        let done = OSSL_MAC_PARAM_DIGEST.withCString { parameter in
            name.withUnsafeMutableBufferPointer { name in
                let parameters = [
                    OSSL_PARAM_construct_utf8_string(parameter, name.baseAddress, 0), OSSL_PARAM_construct_end(),
                ]
                return EVP_MAC_init(context, key.isEmpty ? [0] : key, key.count, parameters)
            }
        }
        precondition(done == 1, "HMAC refused its key")
    }

    deinit { EVP_MAC_CTX_free(context) }

    /// Authenticates the concatenation of the pieces.
    ///
    /// - Parameter output: room for `count` bytes (precondition).
    public func authenticate(
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(output.count >= count)
        var written = 0
        let done =
            EVP_MAC_init(context, nil, 0, nil) == 1
            && EVP_MAC_update(context, first.bindMemory(to: UInt8.self).baseAddress, first.count) == 1
            && EVP_MAC_update(context, second.bindMemory(to: UInt8.self).baseAddress, second.count) == 1
            && EVP_MAC_final(context, output.bindMemory(to: UInt8.self).baseAddress, &written, output.count) == 1
        precondition(done && written == count, "HMAC failed")
    }
}

/// HKDF with SHA-256 (RFC 5869).
public enum HKDF {
    /// - Parameter count: bytes wanted, at most 8,160 (precondition).
    public static func sha256(secret: [UInt8], salt: [UInt8] = [], info: [UInt8], count: Int) -> [UInt8] {
        precondition(count <= 255 * 32)
        let pseudorandom = HMAC.sha256(key: salt.isEmpty ? Array(repeating: 0, count: 32) : salt, secret)
        var output: [UInt8] = []
        var block: [UInt8] = []
        var counter: UInt8 = 1
        while output.count < count {
            block = HMAC.sha256(key: pseudorandom, block + info + [counter])
            output += block
            counter &+= 1
        }
        return Array(output.prefix(count))
    }
}
