public import Base

/// Ports that EVEN-PORT has kept for a later allocation, by the token that the client was given (RFC 8656 section 7.2).
///
/// Shared by the event loops of a node: the second Allocate request may come to another than the first.
public struct ReservationTable<Held: Sendable>: Sendable {
    private struct Entry {
        var held: Held
        var owner: UserAddress
        var expiresAt: MonotonicInstant
    }

    /// RFC 8656 section 7.2 asks for at least 30 seconds.
    public static var lifetime: Duration { .seconds(30) }

    private let capacity: Int
    /// Nobody has more of them, so that one user cannot have all.
    private let maxPerOwner: Int
    private var entries: [UInt64: Entry] = [:]

    public init(capacity: Int) {
        self.capacity = capacity
        maxPerOwner = max(1, capacity / 4)
    }

    public func hasRoom(for owner: UserAddress) -> Bool {
        entries.count < capacity && entries.values.count { $0.owner == owner } < maxPerOwner
    }

    /// - Returns: false when there is no room, or the token is taken.
    public mutating func keep(_ held: Held, _ token: UInt64, for owner: UserAddress, now: MonotonicInstant) -> Bool {
        guard hasRoom(for: owner), entries[token] == nil else { return false }
        entries[token] = Entry(held: held, owner: owner, expiresAt: now + Self.lifetime)
        return true
    }

    /// What was kept for the owner under the token; once.
    public mutating func take(_ token: UInt64, for owner: UserAddress, now: MonotonicInstant) -> Held? {
        guard let entry = entries[token], entry.owner == owner, entry.expiresAt > now else { return nil }
        entries[token] = nil
        return entry.held
    }

    /// Gives up what nobody came for.
    public mutating func expire(now: MonotonicInstant) {
        guard !entries.isEmpty else { return }
        entries = entries.filter { $0.value.expiresAt > now }
    }
}
