import Base
import Crypto
import STUN

/// The value of NONCE: the cookie with the security features, then 14 bytes in base64url.
struct Nonce: BitwiseCopyable, Sendable {
    static let characterCount = NonceCookie.byteCount + 19
    fileprivate(set) var characters = InlineArray<32, UInt8>(repeating: 0)

    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        Swift.withUnsafeBytes(of: characters, body)
    }
}

/// Makes and checks nonces without remembering them (RFC 8489 section 9.2): the time of issue, the client's port, and a code over
/// both, the security features and the client's address, under a secret of this process.
///
/// Over a stream a nonce counts for the client's other ports, too: connections to peers (RFC 6062) are bound by a second
/// connection, and clients show there what they were given on the first.
///
/// Since the code covers the features, who takes some away in a challenge on its way makes a nonce that counts no longer.
struct NonceIssuer {
    private let secret: [UInt8]
    private let lifetimeSeconds: Int64

    init(secret: [UInt8], lifetime: Duration) {
        self.secret = secret
        lifetimeSeconds = lifetime.components.seconds
    }

    func nonce(_ features: STUNSecurityFeatures, for client: SocketAddress, now: MonotonicInstant) -> Nonce {
        nonce(features, for: client, issuedAt: UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000))
    }

    /// Whether we gave the nonce to this client, with these features, not longer than its lifetime ago.
    ///
    /// - Parameter fromAnyPort: whether it may have been given to another port of the client.
    func isCurrent(
        _ nonce: UnsafeRawBufferPointer, _ features: STUNSecurityFeatures, for client: SocketAddress, fromAnyPort: Bool,
        now: MonotonicInstant
    ) -> Bool {
        guard nonce.count == Nonce.characterCount, let (issuedAt, port) = Self.origin(of: nonce),
            fromAnyPort || port == client.port
        else { return false }
        let client = SocketAddress(client.ip, port: port)
        let age = Int64(now.nanoseconds / 1_000_000_000) - Int64(issuedAt)
        guard age >= 0, age <= lifetimeSeconds else { return false }
        return self.nonce(features, for: client, issuedAt: issuedAt).withUnsafeBytes { constantTimeEquals($0, nonce) }
    }

    /// The six bytes behind the cookie.
    private static func origin(of nonce: UnsafeRawBufferPointer) -> (issuedAt: UInt32, port: UInt16)? {
        var bits: UInt64 = 0
        for character in nonce[NonceCookie.byteCount..<NonceCookie.byteCount + 8] {
            guard let digit = digit(of: character) else { return nil }
            bits = bits << 6 | UInt64(digit)
        }
        return (UInt32(truncatingIfNeeded: bits >> 16), UInt16(truncatingIfNeeded: bits))
    }

    private func nonce(_ features: STUNSecurityFeatures, for client: SocketAddress, issuedAt: UInt32) -> Nonce {
        var nonce = Nonce()
        withUnsafeTemporaryAllocation(byteCount: 28, alignment: 8) { covered in
            covered.storeBytes(of: client.ip.high, as: UInt64.self)
            covered.storeBytes(of: client.ip.low, toByteOffset: 8, as: UInt64.self)
            covered.storeBytes(of: issuedAt.bigEndian, toByteOffset: 16, as: UInt32.self)
            covered.storeBytes(of: features.rawValue, toByteOffset: 20, as: UInt32.self)
            covered.storeBytes(of: client.port, toByteOffset: 24, as: UInt16.self)
            covered.storeBytes(of: UInt16(client.ip.family.rawValue), toByteOffset: 26, as: UInt16.self)
            // Of the code the first eight bytes.
            withUnsafeTemporaryAllocation(byteCount: 26, alignment: 8) { value in
                value.storeBytes(of: issuedAt.bigEndian, as: UInt32.self)
                value.storeBytes(of: client.port.bigEndian, toByteOffset: 4, as: UInt16.self)
                let code = UnsafeMutableRawBufferPointer(rebasing: value[6...])
                secret.withUnsafeBytes { HMAC.sha1(key: $0, UnsafeRawBufferPointer(covered), into: code) }
                Swift.withUnsafeMutableBytes(of: &nonce.characters) { characters in
                    NonceCookie.write(features, into: characters)
                    let text = UnsafeMutableRawBufferPointer(rebasing: characters[NonceCookie.byteCount...])
                    Self.encode(UnsafeRawBufferPointer(rebasing: value[..<14]), into: text)
                }
            }
        }
        return nonce
    }

    /// Base64url without padding: no array, no table.
    private static func encode(_ bytes: UnsafeRawBufferPointer, into text: UnsafeMutableRawBufferPointer) {
        var (group, bits, count) = (UInt32(0), UInt32(0), 0)
        func append(_ digit: UInt32) {
            text[count] = character(of: UInt8(truncatingIfNeeded: digit & 63))
            count += 1
        }
        for byte in bytes {
            group = group << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                append(group >> bits)
            }
        }
        if bits > 0 { append(group << (6 - bits)) }
    }

    private static func character(of digit: UInt8) -> UInt8 {
        switch digit {
        case 0..<26: UInt8(ascii: "A") + digit
        case 26..<52: UInt8(ascii: "a") + digit - 26
        case 52..<62: UInt8(ascii: "0") + digit - 52
        case 62: UInt8(ascii: "-")
        default: UInt8(ascii: "_")
        }
    }

    private static func digit(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
