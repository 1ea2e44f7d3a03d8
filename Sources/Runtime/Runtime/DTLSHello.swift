import Base
import Crypto

/// The front of a datagram that begins with a ClientHello's first fragment (RFC 6347 sections 4.1 and 4.2.2).
struct ClientHelloPrefix {
    private let messageSequence: UInt16
    private let random: UnsafeRawBufferPointer

    /// Nil for any other datagram.
    init?(_ datagram: UnsafeRawBufferPointer) {
        let handshake: UInt8 = 22
        let clientHello: UInt8 = 1
        // Record header 13, handshake header 12, version 2, random 32.
        guard datagram.count >= 59, datagram[0] == handshake, datagram[3] == 0, datagram[4] == 0,
            datagram[13] == clientHello, datagram[19] == 0, datagram[20] == 0, datagram[21] == 0
        else { return nil }
        messageSequence = UInt16(datagram[17]) << 8 | UInt16(datagram[18])
        random = UnsafeRawBufferPointer(rebasing: datagram[27..<59])
    }

    /// Whether it is a repetition within the session's own handshake, not the beginning of another.
    func belongs(to session: DTLSSession) -> Bool { messageSequence > 0 && session.hasClientRandom(random) }
}

/// Cookies that are computed, not kept: an HMAC of the client's address under a key that is replaced from time to time.
struct CookieMint {
    /// A cookie is good for this long at least, and twice as long at most.
    static let period = Duration.seconds(60)

    private var key: HMACKey
    private var previousKey: HMACKey
    private var replacedAt: MonotonicInstant

    init(now: MonotonicInstant) {
        key = Self.newKey()
        previousKey = Self.newKey()
        replacedAt = now
    }

    /// The cookies, 32 bytes each, that this address may show: the present one and the one before.
    mutating func withCookies<Result>(
        for address: SocketAddress, now: MonotonicInstant,
        _ body: (_ present: UnsafeRawBufferPointer, _ previous: UnsafeRawBufferPointer) -> Result
    ) -> Result {
        replaceIfDue(now)
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { space in
            let present = UnsafeMutableRawBufferPointer(rebasing: space[..<32])
            let previous = UnsafeMutableRawBufferPointer(rebasing: space[32...])
            // Field by field: between the fields of the value there is padding, of any content.
            withUnsafeBytes(of: (address.ip.high, address.ip.low, UInt64(address.port))) { bytes in
                key.authenticate(bytes, into: present)
                previousKey.authenticate(bytes, into: previous)
            }
            return body(UnsafeRawBufferPointer(present), UnsafeRawBufferPointer(previous))
        }
    }

    private mutating func replaceIfDue(_ now: MonotonicInstant) {
        guard now - replacedAt >= Self.period else { return }
        previousKey = now - replacedAt >= Self.period * 2 ? Self.newKey() : key
        key = Self.newKey()
        replacedAt = now
    }

    private static func newKey() -> HMACKey { HMACKey(.sha256, key: randomBytes(32)) }
}
