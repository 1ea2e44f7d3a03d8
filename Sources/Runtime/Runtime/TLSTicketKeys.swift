import Base
import COpenSSL
import CShims
import Synchronization

/// The keys that seal session tickets (RFC 5077, RFC 8446 section 4.6.1): random, of this process alone, and replaced in an interval;
/// what the ones before sealed is accepted for one more interval.
///
/// Whoever has a ticket key can decrypt TLS 1.2 connections that resumed with it, so none is ever written down.
public final class TLSTicketKeys: Sendable {
    static let nameBytes = 16

    private struct Key {
        /// Public: a ticket begins with it.
        let name: [UInt8]
        /// 32 bytes for AES-256, 32 for HMAC-SHA256.
        let secret: [UInt8]
        let madeAt: MonotonicInstant

        init(at now: MonotonicInstant) {
            name = Self.random(TLSTicketKeys.nameBytes)
            secret = Self.random(64)
            madeAt = now
        }

        private static func random(_ count: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            let done = RAND_priv_bytes(&bytes, Int32(count))
            precondition(done == 1, "the system gives no random bytes")
            return bytes
        }
    }

    let rotation: Duration
    private let now: @Sendable () -> MonotonicInstant
    private let keys: Mutex<(current: Key, previous: Key?)>

    /// - Parameter rotation: how long a key seals. A ticket is good for as long.
    public convenience init(rotation: Duration) { self.init(rotation: rotation, now: MonotonicClock.now) }

    init(rotation: Duration, now: @escaping @Sendable () -> MonotonicInstant) {
        self.rotation = rotation
        self.now = now
        keys = Mutex((current: Key(at: now()), previous: nil))
    }

    /// Makes ready what seals a new ticket; writes the key's name before it.
    func seal(
        _ cipher: OpaquePointer?, _ mac: OpaquePointer?, name: UnsafeMutablePointer<UInt8>,
        iv: UnsafeMutablePointer<UInt8>
    ) -> Int32 {
        guard RAND_bytes(iv, 16) == 1 else { return -1 }
        return keys.withLock { keys in
            rotateIfDue(&keys)
            name.update(from: keys.current.name, count: Self.nameBytes)
            return skerry_ticket_cipher(cipher, mac, keys.current.secret, iv, 1) == 1 ? 1 : -1
        }
    }

    /// Makes ready what opens a ticket.
    ///
    /// - Returns: as OpenSSL wants it: 0 for a key that is unknown or too old, 2 if a new ticket should replace this one.
    func open(_ cipher: OpaquePointer?, _ mac: OpaquePointer?, name: UnsafePointer<UInt8>, iv: UnsafePointer<UInt8>)
        -> Int32
    {
        let name = UnsafeBufferPointer(start: name, count: Self.nameBytes)
        return keys.withLock { keys in
            rotateIfDue(&keys)
            for (key, status) in [(keys.current, Int32(1)), (keys.previous ?? keys.current, Int32(2))]
            where key.name.elementsEqual(name) {
                return skerry_ticket_cipher(cipher, mac, key.secret, iv, 0) == 1 ? status : -1
            }
            return 0
        }
    }

    private func rotateIfDue(_ keys: inout (current: Key, previous: Key?)) {
        let now = now()
        let age = now - keys.current.madeAt
        guard age >= rotation else { return }
        keys = (Key(at: now), age >= rotation * 2 ? nil : keys.current)
    }
}
