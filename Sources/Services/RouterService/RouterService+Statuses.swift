import Base
import RouterEngine
import SQLite
import Wire

extension RouterService {
    /// Payload bytes, and a little per item, in one `status.items`: it has to fit a text frame.
    private static var maxListBytes: Int { 240 * 1024 }

    private enum PostOutcome: Sendable {
        case repeated(InboxStore.Answer)
        case posted(StatusEngine.Post)
    }

    // MARK: Posting

    func post(_ frame: ClientFrame.StatusPost, _ session: SessionHub.Session, _ id: SessionID) {
        guard let media = frame.media else { return write(frame, session, id) }
        let (author, now) = (session.device.owner, now())
        // The media lies in a slot of its own: asked first, in a snapshot of its own.
        do {
            try readers.submit(
                { try MediaStore.mayShow(media, author, now: now, $0) },
                completion: { [self] result in
                    switch result {
                    case .success(true): write(frame, session, id)
                    case .success(false): refuse(frame.id, .unknownMedia, id)
                    case .failure(let error): refuse(frame.id, error, id)
                    }
                })
        } catch {
            refuse(frame.id, error, id)
        }
    }

    private func write(_ frame: ClientFrame.StatusPost, _ session: SessionHub.Session, _ id: SessionID) {
        let (engine, device, now) = (statusEngine, session.device, now())
        let rememberUntil = now + .milliseconds(configuration.acceptedIdLifetimeMs)
        queue(frame.id, id) { database -> Result<PostOutcome, RouterError> in
            if let before = try InboxStore.acceptedBefore(frame.id, of: device, for: device.owner, database) {
                return .success(.repeated(before))
            }
            guard try !StatusStore.exists(frame.id, of: device.owner, database) else {
                return .failure(.idUsedElsewhere)
            }
            let live = try StatusStore.liveCount(of: device.owner, now: now, database)
            let post: StatusEngine.Post
            do throws(RouterError) {
                post = try engine.post(frame, by: device.owner, liveStatuses: live, now: now)
            } catch {
                return .failure(error)
            }
            try StatusStore.insert(post, database)
            try InboxStore.remember(
                frame.id, of: device, for: device.owner, .init(time: now, expiresAt: post.expiresAt),
                until: rememberUntil, database)
            return .success(.posted(post))
        } completion: { [self] outcome in
            switch outcome {
            case .repeated(let answer):
                metrics.repetitions.increment()
                hub.send(
                    .accepted(ServerFrame.Accepted(id: frame.id, time: answer.time, expiresAt: answer.expiresAt)),
                    to: id)
            case .posted(let post):
                metrics.statuses.increment()
                deadlines.setIfEarlier(.statuses, at: post.expiresAt)
                // Who hears of the status can list it and fetch its media.
                applyOutbox { [self] in announce(post, id) }
            }
        }
    }

    private func announce(_ post: StatusEngine.Post, _ id: SessionID) {
        hub.send(.accepted(ServerFrame.Accepted(id: post.status, time: post.time, expiresAt: post.expiresAt)), to: id)
        guard StatusEngine.isLive(expiresAt: post.expiresAt, now: now()) else { return }
        hub.send(.statusNew(post.item), toEach: post.audience)
    }

    // MARK: Listing and deleting

    func list(_ frame: ClientFrame.StatusList, _ session: SessionHub.Session, _ id: SessionID) {
        let viewer = session.device.owner
        var author: UserAddress?
        if let name = frame.user {
            author = UserAddress(tenant: viewer.tenant, user: name)
            guard author != nil else { return refuse(frame.id, .invalidUser, id) }
        }
        let now = now()
        do {
            try readers.submit(
                { [author] in
                    try StatusStore.visible(
                        to: viewer, of: author, maxItems: WireLimits.maxStatusItems, maxBytes: Self.maxListBytes,
                        now: now,
                        $0)
                },
                completion: { [self] result in
                    switch result {
                    case .success(let items):
                        // Time has passed since the snapshot.
                        let now = self.now()
                        let live = items.filter { StatusEngine.isLive(expiresAt: $0.expiresAt, now: now) }
                        hub.send(.statusItems(ServerFrame.StatusItems(id: frame.id, items: live)), to: id)
                    case .failure(let error): refuse(frame.id, error, id)
                    }
                })
        } catch {
            refuse(frame.id, error, id)
        }
    }

    func delete(_ frame: ClientFrame.StatusDelete, _ session: SessionHub.Session, _ id: SessionID) {
        let (device, now) = (session.device, now())
        let rememberUntil = now + .milliseconds(configuration.acceptedIdLifetimeMs)
        queue(frame.id, id) { database -> Result<(InboxStore.Answer, StatusStore.Stored?), RouterError> in
            if let before = try InboxStore.acceptedBefore(frame.id, of: device, for: device.owner, database) {
                return .success((before, nil))
            }
            guard let stored = try StatusStore.load(frame.status, of: device.owner, now: now, database) else {
                return .failure(.unknownStatus)
            }
            try StatusStore.delete(stored, database)
            let answer = InboxStore.Answer(time: now, expiresAt: nil)
            try InboxStore.remember(frame.id, of: device, for: device.owner, answer, until: rememberUntil, database)
            return .success((answer, stored))
        } completion: { [self] answer, stored in
            if let stored { tellGone(stored) }
            applyOutbox { [self] in
                hub.send(.accepted(ServerFrame.Accepted(id: frame.id, time: answer.time)), to: id)
            }
        }
    }

    // MARK: Expiry

    /// Tells who is connected that statuses are over, at their millisecond, and then deletes them.
    func expireStatuses() {
        let (now, limit) = (now(), 100)
        do {
            try readers.submit(
                { (try StatusStore.expired(now: now, limit: limit, $0), try StatusStore.nextExpiry($0)) },
                completion: { [self] result in
                    switch result {
                    case .success((let expired, let next)) where expired.isEmpty:
                        if let next { deadlines.setIfEarlier(.statuses, at: next) }
                    case .success((let expired, _)):
                        for status in expired { tellGone(status) }
                        deleteExpired(expired)
                    case .failure(let error): retryStatuses(error)
                    }
                })
        } catch {
            retryStatuses(error)
        }
    }

    private func deleteExpired(_ expired: [StatusStore.Stored]) {
        do {
            try writer.submit(
                { database in for status in expired { try StatusStore.delete(status, database) } },
                completion: { [self] result in
                    switch result {
                    case .success: applyOutbox { [self] in expireStatuses() }
                    case .failure(let error): retryStatuses(error)
                    }
                })
        } catch {
            retryStatuses(error)
        }
    }

    private func retryStatuses(_ error: EdgeError) {
        guard error.kind != .closed else { return }
        logFailure("expiring statuses failed", error)
        deadlines.setIfEarlier(.statuses, at: now() + .seconds(1))
    }

    private func tellGone(_ status: StatusStore.Stored) {
        let author = status.audience.author
        hub.send(
            .statusGone(ServerFrame.StatusGone(status: status.audience.status, user: author.user)),
            toEach: [author] + status.audience.users)
    }

    // MARK: Outbox

    /// Applies what waits in the outbox, in transactions of its own, and then calls `done`.
    func applyOutbox(_ done: @escaping @Sendable () -> Void) {
        let limit = 1000
        do {
            try writer.submit(
                { try OutboxStore.apply(limit: limit, $0) },
                completion: { [self] result in
                    switch result {
                    case .success(limit): applyOutbox(done)
                    case .success: done()
                    case .failure(let error): retryOutbox(error, done)
                    }
                })
        } catch {
            retryOutbox(error, done)
        }
    }

    private func retryOutbox(_ error: EdgeError, _ done: @Sendable () -> Void) {
        guard error.kind != .closed else { return }
        logFailure("the outbox could not be applied", error)
        deadlines.setIfEarlier(.outbox, at: now() + .seconds(1))
        // The decision itself is committed; its effects follow.
        done()
    }
}
