package import Base
package import Wire

/// The rules of statuses: who may see one, and until when. A status and its audience lie in the author's slot; what the
/// audience's own slots and the media's slot must know goes there through the outbox.
package struct StatusEngine: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// How long a status lives if its author does not say.
        package var lifetimeMs: Int64 = 86_400_000
        /// The longest life that an author may ask for.
        package var maxLifetimeMs: Int64 = 7 * 86_400_000
        /// Live statuses of one author.
        package var maxStatusesPerUser = 100
        package var maxAudienceUsers = WireLimits.maxAudienceUsers
        package var maxPayloadBytes = 64 * 1024

        package init() {}
    }

    package struct Post: Equatable, Sendable {
        package var author: UserAddress
        package var status: UUID
        /// Each once, without the author, who always sees it.
        package var audience: [UserAddress]
        package var media: MediaID?
        package var payload: [UInt8]?
        package var time: WallTime
        package var expiresAt: WallTime

        /// What a client sees of it.
        package var item: ServerFrame.StatusItem {
            ServerFrame.StatusItem(
                status: status, user: author.user, media: media, payload: payload, time: time, expiresAt: expiresAt)
        }
    }

    private let configuration: Configuration

    package init(configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// Checks a post.
    ///
    /// - Parameter liveStatuses: how many the author has.
    package func post(
        _ frame: ClientFrame.StatusPost, by author: UserAddress, liveStatuses: Int, now: WallTime
    ) throws(RouterError) -> Post {
        guard !frame.audience.isEmpty else { throw .emptyAudience }
        guard frame.audience.count <= configuration.maxAudienceUsers else {
            throw .audienceTooLarge(allowed: configuration.maxAudienceUsers)
        }
        guard (frame.payload?.count ?? 0) <= configuration.maxPayloadBytes else {
            throw .payloadTooLarge(allowedBytes: configuration.maxPayloadBytes)
        }
        guard liveStatuses < configuration.maxStatusesPerUser else {
            throw .tooManyStatuses(allowed: configuration.maxStatusesPerUser)
        }
        let lifetime = frame.expiresInMilliseconds ?? configuration.lifetimeMs
        guard lifetime > 0, lifetime <= configuration.maxLifetimeMs else {
            throw .expiryOutOfRange(allowedMs: configuration.maxLifetimeMs)
        }
        var audience: [UserAddress] = []
        var seen: Set<String> = [author.user]
        for name in frame.audience where seen.insert(name).inserted {
            guard let user = UserAddress(tenant: author.tenant, user: name) else { throw .invalidUser }
            audience.append(user)
        }
        return Post(
            author: author, status: frame.id, audience: audience, media: frame.media, payload: frame.payload, time: now,
            expiresAt: now + .milliseconds(lifetime))
    }

    /// Whether a status is there at all; asked on every path that reads one.
    package static func isLive(expiresAt: WallTime, now: WallTime) -> Bool { now < expiresAt }
}

/// Who hears of a status.
package struct StatusAudience: Equatable, Sendable {
    package var status: UUID
    package var author: UserAddress
    package var users: [UserAddress]

    package init(status: UUID, author: UserAddress, users: [UserAddress]) {
        self.status = status
        self.author = author
        self.users = users
    }
}
