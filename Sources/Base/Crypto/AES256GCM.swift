/// AES-GCM with keys of 32 bytes alone.
///
/// - Important: the caller never seals different bytes under the same key and nonce.
public enum AES256GCM {
    public static let tagBytes = AESGCM.tagBytes

    /// - Parameter output: room for `plaintext.count + 16` bytes (precondition).
    public static func seal(
        _ plaintext: UnsafeRawBufferPointer, key: [UInt8], nonce: [UInt8], authenticating: [UInt8],
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(key.count == 32)
        AESGCM.seal(plaintext, key: key, nonce: nonce, authenticating: authenticating, into: output)
    }

    /// Returns false, with the output wiped, unless the tag is right.
    ///
    /// - Parameter output: room for `sealed.count - 16` bytes (precondition).
    public static func open(
        _ sealed: UnsafeRawBufferPointer, key: [UInt8], nonce: [UInt8], authenticating: [UInt8],
        into output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        key.count == 32 && AESGCM.open(sealed, key: key, nonce: nonce, authenticating: authenticating, into: output)
    }

    public static func seal(_ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], authenticating: [UInt8] = []) -> [UInt8]
    {
        precondition(key.count == 32)
        return AESGCM.seal(plaintext, key: key, nonce: nonce, authenticating: authenticating)
    }

    /// The plaintext, or nil unless the tag is right.
    public static func open(_ sealed: [UInt8], key: [UInt8], nonce: [UInt8], authenticating: [UInt8] = []) -> [UInt8]? {
        key.count == 32 ? AESGCM.open(sealed, key: key, nonce: nonce, authenticating: authenticating) : nil
    }
}
