package import Base
package import Wire

/// Who may read a media object, and until when it is there.
package enum MediaRules {
    /// An expiry; nil is never (pinned).
    package typealias Expiry = WallTime?

    package struct Reference: Equatable, Sendable {
        package var expiresAt: Expiry

        package init(expiresAt: Expiry) { self.expiresAt = expiresAt }
    }

    /// The rights that were found for a request, at one instant.
    package struct Rights: Equatable, Sendable {
        /// When the signed path for just this media ends, which has been checked.
        package var signedUntil: WallTime?
        /// A token with `media:read` in the media's tenant.
        package var tenantReader = false
        /// The user's own reference, if there is one.
        package var reference: Reference?
        /// The latest expiry of a live status that shows the media to the user.
        package var shownUntil: WallTime?

        package init() {}
    }

    package struct Grant: Equatable, Sendable {
        /// When the right itself ends; nil if it does not.
        package var until: Expiry
        /// The right comes from a status: nothing may be kept on the way.
        package var noStore: Bool
    }

    /// Whether a request may see an object. Absent, expired and refused look the same to who asked.
    package static func grant(_ rights: Rights, mode: MediaMode, expiresAt: Expiry, now: WallTime) -> Grant? {
        guard isLive(expiresAt, now: now) else { return nil }
        if let signed = rights.signedUntil { return now < signed ? Grant(until: signed, noStore: false) : nil }
        guard rights.tenantReader else { return nil }
        if mode == .sealed { return Grant(until: expiresAt, noStore: false) }
        if let reference = rights.reference, isLive(reference.expiresAt, now: now) {
            return Grant(until: reference.expiresAt, noStore: false)
        }
        if let shown = rights.shownUntil, now < shown { return Grant(until: shown, noStore: true) }
        return nil
    }

    package static func isLive(_ expiry: Expiry, now: WallTime) -> Bool { expiry.map { now < $0 } ?? true }

    package static func later(_ left: Expiry, _ right: Expiry) -> Expiry {
        guard let left, let right else { return nil }
        return max(left, right)
    }

    package static func earlier(_ left: Expiry, _ right: Expiry) -> Expiry {
        guard let left else { return right }
        guard let right else { return left }
        return min(left, right)
    }

    /// How long an edge may use an answer: never past an expiry, at most `maxLeaseMs`.
    package static func leaseMs(until: Expiry, objectExpiresAt: Expiry, now: WallTime, maxLeaseMs: Int64) -> Int64 {
        guard let end = earlier(until, objectExpiresAt) else { return maxLeaseMs }
        return max(0, min(maxLeaseMs, (end - now).milliseconds))
    }

    /// The hour whose bucket key wraps an object's key: keys are destroyed by the hour. 0 for pinned objects.
    package static func bucketHour(_ expiry: Expiry) -> Int64 {
        guard let expiry else { return 0 }
        // The hour that contains the last millisecond of the object's life.
        return max(0, expiry.milliseconds - 1) / 3_600_000 + 1
    }

    /// When a bucket's key must be gone.
    package static func bucketEnd(hour: Int64) -> WallTime { WallTime(milliseconds: hour * 3_600_000) }
}
