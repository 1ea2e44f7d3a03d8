import COpenSSL

/// AES-GCM (NIST SP 800-38D) with keys of 16 or 32 bytes: 12-byte nonces, 16-byte tags behind the ciphertext.
///
/// - Important: the caller never seals different bytes under the same key and nonce.
public enum AESGCM {
    public static let tagBytes = 16

    /// - Parameter output: room for `plaintext.count + 16` bytes (precondition).
    public static func seal(
        _ plaintext: UnsafeRawBufferPointer, key: [UInt8], nonce: [UInt8], authenticating: [UInt8],
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition([16, 32].contains(key.count) && nonce.count == 12 && output.count >= plaintext.count + tagBytes)
        let cipher = Cipher()
        let bytes = output.bindMemory(to: UInt8.self)
        var written: Int32 = 0
        let context = cipher.context
        let done =
            EVP_EncryptInit_ex(context, key.count == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), nil, key, nonce) == 1
            && (authenticating.isEmpty
                || EVP_EncryptUpdate(context, nil, &written, authenticating, Int32(authenticating.count)) == 1)
            && (plaintext.isEmpty
                || EVP_EncryptUpdate(
                    context, bytes.baseAddress, &written, plaintext.bindMemory(to: UInt8.self).baseAddress,
                    Int32(plaintext.count)) == 1)
            && EVP_EncryptFinal_ex(context, bytes.baseAddress.map { $0 + plaintext.count }, &written) == 1
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_GET_TAG, Int32(tagBytes), bytes.baseAddress.map { $0 + plaintext.count }) == 1
        precondition(done, "AES-GCM failed")
    }

    /// Returns false, with the output wiped, unless the tag is right.
    ///
    /// - Parameter output: room for `sealed.count - 16` bytes (precondition).
    public static func open(
        _ sealed: UnsafeRawBufferPointer, key: [UInt8], nonce: [UInt8], authenticating: [UInt8],
        into output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard sealed.count >= tagBytes, [16, 32].contains(key.count), nonce.count == 12 else { return false }
        let count = sealed.count - tagBytes
        precondition(output.count >= count)
        let cipher = Cipher()
        let context = cipher.context
        let input = sealed.bindMemory(to: UInt8.self)
        let bytes = output.bindMemory(to: UInt8.self)
        var written: Int32 = 0
        var spare: UInt8 = 0
        let done =
            EVP_DecryptInit_ex(context, key.count == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), nil, key, nonce) == 1
            && (authenticating.isEmpty
                || EVP_DecryptUpdate(context, nil, &written, authenticating, Int32(authenticating.count)) == 1)
            && (count == 0
                || EVP_DecryptUpdate(context, bytes.baseAddress, &written, input.baseAddress, Int32(count)) == 1)
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_SET_TAG, Int32(tagBytes),
                UnsafeMutableRawPointer(mutating: input.baseAddress.map { $0 + count })) == 1
            && EVP_DecryptFinal_ex(context, &spare, &written) == 1
        if !done, count > 0 { output.prefix(count).initializeMemory(as: UInt8.self, repeating: 0) }
        return done
    }

    public static func seal(_ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], authenticating: [UInt8] = []) -> [UInt8]
    {
        [UInt8](unsafeUninitializedCapacity: plaintext.count + tagBytes) { output, initialized in
            plaintext.withUnsafeBytes {
                seal(
                    $0, key: key, nonce: nonce, authenticating: authenticating,
                    into: UnsafeMutableRawBufferPointer(output))
            }
            initialized = plaintext.count + tagBytes
        }
    }

    /// The plaintext, or nil unless the tag is right.
    public static func open(_ sealed: [UInt8], key: [UInt8], nonce: [UInt8], authenticating: [UInt8] = []) -> [UInt8]? {
        guard sealed.count >= tagBytes else { return nil }
        var valid = false
        let plaintext = [UInt8](unsafeUninitializedCapacity: sealed.count - tagBytes) { output, initialized in
            valid = sealed.withUnsafeBytes {
                open(
                    $0, key: key, nonce: nonce, authenticating: authenticating,
                    into: UnsafeMutableRawBufferPointer(output))
            }
            initialized = valid ? sealed.count - tagBytes : 0
        }
        return valid ? plaintext : nil
    }

    private struct Cipher: ~Copyable {
        let context: OpaquePointer

        init() {
            guard let created = EVP_CIPHER_CTX_new() else { preconditionFailure("out of memory") }
            context = created
        }

        deinit { EVP_CIPHER_CTX_free(context) }
    }
}
