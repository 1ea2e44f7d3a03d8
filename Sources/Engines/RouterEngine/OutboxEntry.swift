package import Base

/// An effect of a decision in one slot on another slot.
///
/// It is written in the transaction of the decision, applied in a later transaction of the target's slot, and deleted
/// when that is committed. A crash between the two leads to a second application, so every effect is idempotent: it
/// puts or removes a row under a key that the entry itself carries. Entries are named (slot, sequence, index): the slot
/// that decided, the number of its decision, and the place within it, which is what a log can later deduplicate by.
///
/// What goes through here now: a status is put into and removed from the feeds of its audience, and grants its audience
/// the media that it shows, which lies in the media's own slot. Messages do not: all that they change lies in the
/// recipient's slot.
package struct OutboxEntry: Equatable, Sendable {
    package enum Effect: Equatable, Sendable {
        /// The viewer's feed lists the status.
        case feedStatus(viewer: UserAddress, status: UUID, author: UserAddress, expiresAt: WallTime)
        case unfeedStatus(viewer: UserAddress, status: UUID, author: UserAddress)
        /// The status shows the media to these users.
        case showMedia(media: MediaID, status: UUID, author: UserAddress, users: [UserAddress], expiresAt: WallTime)
        case hideMedia(media: MediaID, status: UUID, author: UserAddress)
    }

    package var effect: Effect

    package init(_ effect: Effect) { self.effect = effect }

    /// The slot that the effect changes.
    package var target: Slot {
        switch effect {
        case .feedStatus(let viewer, _, _, _), .unfeedStatus(let viewer, _, _): Slot(viewer)
        case .showMedia(let media, _, let author, _, _), .hideMedia(let media, _, let author):
            Slot(tenant: author.tenant, media: media)
        }
    }

    /// The effects of a post on other slots.
    package static func entries(posting post: StatusEngine.Post) -> [OutboxEntry] {
        var entries = ([post.author] + post.audience).map {
            OutboxEntry(
                .feedStatus(viewer: $0, status: post.status, author: post.author, expiresAt: post.expiresAt))
        }
        if let media = post.media {
            entries.append(
                OutboxEntry(
                    .showMedia(
                        media: media, status: post.status, author: post.author,
                        users: [post.author] + post.audience, expiresAt: post.expiresAt)))
        }
        return entries
    }

    /// The effects of a deletion or an expiry on other slots.
    package static func entries(removing audience: StatusAudience, media: MediaID?) -> [OutboxEntry] {
        var entries = ([audience.author] + audience.users).map {
            OutboxEntry(.unfeedStatus(viewer: $0, status: audience.status, author: audience.author))
        }
        if let media {
            entries.append(OutboxEntry(.hideMedia(media: media, status: audience.status, author: audience.author)))
        }
        return entries
    }
}
