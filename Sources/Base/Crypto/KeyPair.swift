import COpenSSL
import CShims

/// Owner of an EVP_PKEY.
///
/// `@unchecked Sendable`: the key is never changed after creation, and OpenSSL 3 allows concurrent use of such a key.
final class KeyPair: @unchecked Sendable {
    let pointer: OpaquePointer

    private init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    static func generated(_ pointer: OpaquePointer?) -> KeyPair {
        guard let pointer else { preconditionFailure("libcrypto cannot generate this kind of key") }
        return KeyPair(pointer)
    }

    static func privateKey(pem: String) throws(KeyError) -> KeyPair {
        let bio = MemoryBIO(pem)
        guard let pointer = PEM_read_bio_PrivateKey(bio.pointer, nil, nil, nil) else {
            ERR_clear_error()
            throw .malformed
        }
        return KeyPair(pointer)
    }

    static func publicKey(pem: String) throws(KeyError) -> KeyPair {
        let bio = MemoryBIO(pem)
        guard let pointer = PEM_read_bio_PUBKEY(bio.pointer, nil, nil, nil) else {
            ERR_clear_error()
            throw .malformed
        }
        return KeyPair(pointer)
    }

    func algorithm() throws(KeyError) -> SignatureAlgorithm {
        if EVP_PKEY_is_a(pointer, "ED25519") == 1 { return .eddsa }
        if EVP_PKEY_is_a(pointer, "EC") == 1, EVP_PKEY_get_bits(pointer) == 256 { return .es256 }
        throw .unsupported
    }

    /// No digest of its own for Ed25519, SHA-256 otherwise.
    private var digest: OpaquePointer? { EVP_PKEY_is_a(pointer, "ED25519") == 1 ? nil : EVP_sha256() }

    /// ECDSA signatures are in DER.
    func sign(_ message: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        return [UInt8](unsafeUninitializedCapacity: 160) { output, initialized in
            var count = 160
            let done =
                EVP_DigestSignInit(context, nil, digest, nil, pointer) == 1
                && EVP_DigestSign(context, output.baseAddress, &count, message, message.count) == 1
            precondition(done, "signing failed")
            initialized = count
        }
    }

    func verify(_ signature: [UInt8], _ message: [UInt8]) -> Bool {
        let context = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return EVP_DigestVerifyInit(context, nil, digest, nil, pointer) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    var privatePEM: String {
        let bio = MemoryBIO()
        precondition(PEM_write_bio_PKCS8PrivateKey(bio.pointer, pointer, nil, nil, 0, nil, nil) == 1)
        return bio.text
    }

    var publicPEM: String {
        let bio = MemoryBIO()
        precondition(PEM_write_bio_PUBKEY(bio.pointer, pointer) == 1)
        return bio.text
    }
}

/// Owner of a memory BIO, for reading and writing PEM.
struct MemoryBIO: ~Copyable {
    let pointer: OpaquePointer

    init(_ text: String = "") {
        guard let created = BIO_new(BIO_s_mem()) else { preconditionFailure("out of memory") }
        pointer = created
        let bytes = Array(text.utf8)
        precondition(bytes.isEmpty || BIO_write(created, bytes, Int32(bytes.count)) == Int32(bytes.count))
    }

    deinit { BIO_free(pointer) }

    var text: String {
        var bytes: UnsafePointer<CChar>?
        let count = skerry_bio_memory(pointer, &bytes)
        guard let bytes, count > 0 else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
    }
}

/// ECDSA signatures between DER (OpenSSL) and r ‖ s of 32 bytes each (JWS).
enum ECDSASignature {
    static func raw(fromDER der: [UInt8]) -> [UInt8] {
        // SEQUENCE { INTEGER r, INTEGER s }, as OpenSSL writes it: short lengths only for P-256.
        func integer(at offset: Int) -> (value: [UInt8], end: Int) {
            let count = Int(der[offset + 1])
            let digits = der[offset + 2..<offset + 2 + count].drop { $0 == 0 }
            return (Array(repeating: 0, count: 32 - digits.count) + digits, offset + 2 + count)
        }
        let (r, next) = integer(at: 2)
        return r + integer(at: next).value
    }

    static func der(fromRaw raw: [UInt8]) -> [UInt8] {
        func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
            var digits = Array(bytes.drop { $0 == 0 })
            if digits.isEmpty || digits[0] >= 0x80 { digits.insert(0, at: 0) }
            return [2, UInt8(digits.count)] + digits
        }
        let body = integer(raw[..<32]) + integer(raw[32...])
        return [0x30, UInt8(body.count)] + body
    }
}
