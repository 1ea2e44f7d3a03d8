import Base
import Crypto
import Runtime

/// The key of this node: it wraps what has to survive a crash and may not lie open on the disk, and that only until the
/// central has it: keys of unfinished uploads, their tokens, keys of objects that wait for a thumbnail.
struct NodeKey: Sendable {
    private let key: [UInt8]

    init(key: [UInt8]) {
        precondition(key.count == 32)
        self.key = key
    }

    /// Reads the key file, or makes it, readable by its owner alone.
    static func load(path: String) throws -> NodeKey {
        if !FileSystem.exists(path) { try FileSystem.replace(path, with: randomBytes(32)) }
        guard try FileSystem.mode(of: path) & 0o077 == 0 else {
            throw EdgeError(.forbidden, "\(path) must be readable by its owner alone (chmod 600)", side: .internal)
        }
        let bytes = try FileSystem.read(path, limit: 1024)
        guard bytes.count == 32 else { throw EdgeError(.corrupt, "\(path) must have 32 bytes", side: .internal) }
        return NodeKey(key: bytes)
    }

    /// - Parameter context: what the secret belongs to; it opens for nothing else.
    func wrap(_ secret: [UInt8], context: [UInt8]) -> [UInt8] {
        let nonce = randomBytes(12)
        return nonce + AES256GCM.seal(secret, key: key, nonce: nonce, authenticating: context)
    }

    func unwrap(_ wrapped: [UInt8], context: [UInt8]) -> [UInt8]? {
        guard wrapped.count >= 28 else { return nil }
        return AES256GCM.open(
            Array(wrapped[12...]), key: key, nonce: Array(wrapped[..<12]), authenticating: context)
    }
}
