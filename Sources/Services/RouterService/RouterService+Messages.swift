import Base
import RouterEngine
import Runtime
import SQLite
import Wire

extension RouterService {
    /// Takes a message in; its sender is told `accepted` after the commit.
    func submit(_ send: ClientFrame.Send, _ session: SessionHub.Session, _ id: SessionID) {
        let recipient: UserAddress
        do throws(RouterError) {
            recipient = try inboxEngine.recipient(of: send, tenant: session.device.tenant)
        } catch {
            return refuse(send.id, error, id)
        }
        let submission = InboxEngine.Submission(sender: session.device, send: send, time: now())
        if send.messageClass == .ephemeral { return pass(submission, to: recipient, id) }
        let (engine, began) = (inboxEngine, MonotonicClock.now())
        queue(send.id, id) { database -> Result<InboxEngine.Outcome, RouterError> in
            let loaded = try InboxStore.load(submission, for: recipient, database)
            let outcome: InboxEngine.Outcome
            do throws(RouterError) {
                outcome = try engine.submit(submission, loaded)
            } catch {
                return .failure(error)
            }
            if case .accepted(let write) = outcome {
                try InboxStore.apply(write, of: submission, for: recipient, database)
            }
            return .success(outcome)
        } completion: { [self] outcome in
            switch outcome {
            case .repeated(let time):
                metrics.repetitions.increment()
                hub.send(.accepted(ServerFrame.Accepted(id: send.id, time: time)), to: id)
            case .accepted(let write):
                metrics.accepted(send.messageClass)
                metrics.commitDuration.record(MonotonicClock.now() - began)
                hub.send(.accepted(ServerFrame.Accepted(id: send.id, time: write.time)), to: id)
                for reading in hub.deliver(delivery(submission), to: recipient, write.entries) { read(reading) }
            }
        }
    }

    /// Passes an ephemeral message to the devices that are connected; it is never stored.
    private func pass(_ submission: InboxEngine.Submission, to recipient: UserAddress, _ id: SessionID) {
        let send = submission.send
        guard send.payload.count <= configuration.inbox.maxPayloadBytes else {
            return refuse(send.id, .payloadTooLarge(allowedBytes: configuration.inbox.maxPayloadBytes), id)
        }
        var device: String?
        if case .device(_, let name) = send.to { device = name }
        hub.deliverLive(delivery(submission), to: recipient, device: device)
        metrics.accepted(.ephemeral)
        hub.send(.accepted(ServerFrame.Accepted(id: send.id, time: submission.time)), to: id)
    }

    /// The frame, without its number; 0 stands for none.
    private func delivery(_ submission: InboxEngine.Submission) -> ServerFrame.Deliver {
        ServerFrame.Deliver(
            sequence: 0, id: submission.send.id, from: PeerAddress(submission.sender), to: submission.send.to,
            messageClass: submission.send.messageClass, time: submission.time, payload: submission.send.payload)
    }

    /// Queues the write of a session's frame, within the session's bound. Refusals and failures are told to the session.
    func queue<Value: Sendable>(
        _ reference: UUID, _ id: SessionID, _ body: @escaping @Sendable (Database) throws -> Result<Value, RouterError>,
        completion: @escaping @Sendable (Value) -> Void
    ) {
        let limit = configuration.maxPendingFramesPerSession
        let isWithinBound = hub.update(id) { session in
            guard session.pendingFrames < limit else { return false }
            session.pendingFrames += 1
            return true
        }
        guard let isWithinBound else { return }
        guard isWithinBound else {
            return refuse(
                reference, .exhausted, "at most \(limit) frames may wait for their answer", id, retryAfterMs: 100)
        }
        do {
            try writer.submit(body) { [self] result in
                _ = hub.update(id) { $0.pendingFrames -= 1 }
                switch result {
                case .success(.success(let value)): completion(value)
                case .success(.failure(let refusal)): refuse(reference, refusal, id)
                case .failure(let error): refuse(reference, error, id)
                }
            }
        } catch {
            _ = hub.update(id) { $0.pendingFrames -= 1 }
            refuse(reference, error, id)
        }
    }

    // MARK: Sweeping

    /// Deletes what has expired and is not deleted by a deadline of its own. Reads never show it, so this only makes room.
    func sweep() {
        let now = now()
        deadlines.set(.sweep, at: now + .milliseconds(configuration.sweepIntervalMs))
        sweepOnce(now)
    }

    private func sweepOnce(_ now: WallTime) {
        let limit = 1000
        try? writer.submit(
            { database in
                var hasMore = try InboxStore.removeExpired(now: now, limit: limit, database)
                if try InboxStore.forgetAnswers(now: now, limit: limit, database) { hasMore = true }
                if try StatusStore.sweep(now: now, limit: limit, database) { hasMore = true }
                if try MediaStore.sweep(now: now, limit: limit, database) { hasMore = true }
                return hasMore
            },
            completion: { [self] result in
                switch result {
                case .success(true): sweepOnce(now)
                case .success(false): break
                case .failure(let error): logFailure("sweeping failed", error)
                }
            })
    }
}
