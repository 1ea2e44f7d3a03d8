public import Base
import Crypto

/// What an authorisation server seals for a TURN server and its client presents: the key of MESSAGE-INTEGRITY and how long
/// it is good (RFC 7635 section 6.2).
public struct AccessToken: Equatable, Sendable {
    public let key: LongTermKey
    public let issuedAt: WallTime
    public let lifetimeSeconds: UInt32

    public init(key: LongTermKey, issuedAt: WallTime, lifetimeSeconds: UInt32) {
        self.key = key
        self.issuedAt = issuedAt
        self.lifetimeSeconds = lifetimeSeconds
    }

    public var expiresAt: WallTime { issuedAt + .seconds(Int64(lifetimeSeconds)) }

    /// More is no token of ours: a nonce, a key of at most 32 bytes, and what belongs to them.
    public static let maxSealedByteCount = 2 + nonceByteCount + maxBlockByteCount + AESGCM.tagBytes
    private static let nonceByteCount = 12
    private static let maxBlockByteCount = 2 + LongTermKey.maxByteCount + 8 + 4

    /// Opens the value of an ACCESS-TOKEN attribute.
    ///
    /// - Parameters:
    ///   - sealingKey: shared with the authorisation server: 16 bytes (AES-128-GCM) or 32 (AES-256-GCM).
    ///   - serverName: this server's, as THIRD-PARTY-AUTHORIZATION gives it; the token is bound to it.
    /// - Returns: nil unless it was sealed so and is whole.
    public init?(opening sealed: [UInt8], sealingKey: [UInt8], serverName: String) {
        // Every length is checked before a byte is looked at: the token comes from whoever asks.
        let head = 2 + Self.nonceByteCount
        guard sealed.count > head + AESGCM.tagBytes, sealed.count <= Self.maxSealedByteCount,
            sealed[0] == 0, Int(sealed[1]) == Self.nonceByteCount,
            let block = AESGCM.open(
                Array(sealed[head...]), key: sealingKey, nonce: Array(sealed[2..<head]),
                authenticating: Array(serverName.utf8)),
            block.count >= 2
        else { return nil }
        let keyCount = Int(block[0]) << 8 | Int(block[1])
        guard block.count == 2 + keyCount + 8 + 4, let key = LongTermKey(bytes: block[2..<2 + keyCount]) else {
            return nil
        }
        let rest = block.span.bytes.extracting((2 + keyCount)...)
        // 48 bits of seconds since 1970, 16 of 1/64000 seconds.
        let timestamp = rest.bigEndian(at: 0, as: UInt64.self)
        self.init(
            key: key,
            issuedAt: WallTime(milliseconds: Int64(timestamp >> 16) * 1000 + min(Int64(timestamp & 0xFFFF) / 64, 999)),
            lifetimeSeconds: rest.bigEndian(at: 8, as: UInt32.self))
    }

    /// Seals the token, as an authorisation server does.
    ///
    /// - Parameters:
    ///   - sealingKey: 16 or 32 bytes (precondition).
    ///   - nonce: 12 bytes (precondition), never used before under this key.
    public func sealed(sealingKey: [UInt8], serverName: String, nonce: [UInt8]) -> [UInt8] {
        precondition(nonce.count == Self.nonceByteCount)
        let keyBytes = key.bytes
        var block: [UInt8] = []
        block.append(bigEndian: UInt16(keyBytes.count))
        block += keyBytes
        let milliseconds = max(issuedAt.milliseconds, 0)
        block.append(bigEndian: UInt64(milliseconds / 1000) << 16 | UInt64(milliseconds % 1000 * 64))
        block.append(bigEndian: lifetimeSeconds)
        var output: [UInt8] = []
        output.append(bigEndian: UInt16(nonce.count))
        output += nonce
        return output
            + AESGCM.seal(block, key: sealingKey, nonce: nonce, authenticating: Array(serverName.utf8))
    }
}
