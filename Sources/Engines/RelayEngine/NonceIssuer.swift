import Base
import Crypto

/// Makes and checks nonces without remembering them (RFC 8489 section 9.2): the time of issue and a code over it and the
/// client's address, under a secret of this process.
struct NonceIssuer {
    /// Characters of a nonce.
    static let characterCount = 22
    private static let codeByteCount = 12
    private let key: HMACKey
    private let lifetime: Duration

    init(secret: [UInt8], lifetime: Duration) {
        key = HMACKey(.sha1, key: secret)
        self.lifetime = lifetime
    }

    func nonce(for client: SocketAddress, now: MonotonicInstant) -> String {
        let seconds = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        return Base64.encode(bytes(for: client, seconds: seconds), .url)
    }

    /// Whether we gave the nonce to this client not longer than its lifetime ago.
    func isCurrent(_ nonce: [UInt8], for client: SocketAddress, now: MonotonicInstant) -> Bool {
        guard nonce.count == Self.characterCount, let text = String(validating: nonce, as: UTF8.self),
            let given = Base64.decode(text, .url), given.count == 4 + Self.codeByteCount
        else { return false }
        let issued = given[..<4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let age = Int64(now.nanoseconds / 1_000_000_000) - Int64(issued)
        guard age >= 0, .seconds(age) <= lifetime else { return false }
        return constantTimeEquals(given, bytes(for: client, seconds: issued))
    }

    private func bytes(for client: SocketAddress, seconds: UInt32) -> [UInt8] {
        var input: [UInt8] = []
        input.append(bigEndian: seconds)
        var output = input
        input.append(client.ip.family.rawValue)
        input.append(bigEndian: client.ip.high)
        input.append(bigEndian: client.ip.low)
        input.append(bigEndian: client.port)
        var code = [UInt8](repeating: 0, count: key.count)
        input.withUnsafeBytes { input in
            code.withUnsafeMutableBytes { key.authenticate(input, into: $0) }
        }
        output += code.prefix(Self.codeByteCount)
        return output
    }
}
