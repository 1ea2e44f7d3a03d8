import Base
import Crypto
import RouterEngine
import SQLite
import Tokens
import UplinkService
import Wire

extension RouterService {
    /// Payload bytes after which a page of an inbox ends early.
    private static var maxPageBytes: Int { 1 << 20 }

    // MARK: Opening

    func openSession(_ open: SessionOpen, _ link: UplinkLink) async throws -> SessionOpened {
        let now = now()
        let claims = try claims(of: open.token, scope: "connect", now: now)
        guard claims.expires > now else { throw EdgeError(.unauthenticated, "the token has expired") }
        guard !hub.isFull else {
            throw EdgeError(.exhausted, "too many devices are connected", side: .upstream, isRetryable: true)
        }
        let id = SessionID(link: link.id, session: open.session)
        let token = Base64.encode(randomBytes(24), .url)
        let tokenHash = Digest.sha256(Array(token.utf8))
        let resume = open.resume.map { (tokenHash: Digest.sha256(Array($0.token.utf8)), sequence: $0.sequence) }
        let (registration, credit, hub, deadlines) = (registration, configuration.creditFrames, hub, deadlines)
        let resumed = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Bool, any Error>) in
            do {
                try writer.submit(
                    { database in
                        try InboxStore.connect(
                            claims.address, resume: resume, newTokenHash: tokenHash, registration: registration,
                            now: now,
                            database)
                    },
                    completion: { result in
                        // On the writer's thread, so that no later commit's delivery is missed between here and there.
                        switch result {
                        case .success(.success(let connected)):
                            let session = SessionHub.Session(
                                link: link, device: claims.address, inbox: connected.inbox, resumeToken: token,
                                window: DeliveryWindow(
                                    credit: credit, acknowledged: connected.outcome.acknowledged,
                                    position: connected.outcome.position,
                                    lastSequence: connected.outcome.lastSequence),
                                scopes: claims.scopes, tokenExpiresAt: claims.expires)
                            if let replaced = hub.open(id, session) {
                                replaced.map { deadlines.cancel(.session($0)) }
                                continuation.resume(returning: connected.outcome.resumed)
                            } else {
                                continuation.resume(throwing: EdgeError(.closed, "the link has gone"))
                            }
                        case .success(.failure(let refusal)): continuation.resume(throwing: EdgeError(refusal))
                        case .failure(let error): continuation.resume(throwing: error)
                        }
                    })
            } catch {
                continuation.resume(throwing: error)
            }
        }
        deadlines.set(.session(id), at: claims.expires)
        // An edge keeps what comes for a session until it has the answer to its opening.
        read(hub.begin(id, now: now))
        return SessionOpened(
            device: claims.address, resumeToken: token, resumed: resumed, credit: UInt32(credit),
            serverTime: self.now(),
            tokenExpiresAt: claims.expires)
    }

    func claims(of token: String, scope: String, now: WallTime) throws -> Claims {
        let claims: Claims
        do throws(TokenError) {
            claims = try verifier.verify(token, now: now)
        } catch {
            throw EdgeError(.unauthenticated, "\(error)")
        }
        guard claims.allows(scope) else { throw EdgeError(.forbidden, "the token lacks the scope \(scope)") }
        return claims
    }

    // MARK: Frames

    func received(_ frame: ClientFrame, _ id: SessionID) {
        guard let session = hub[id] else { return }
        switch frame {
        case .hello: refuse(nil, .invalid, "hello is the first frame, and comes once", id)
        case .send(let send): submit(send, session, id)
        case .ack(let sequence): acknowledge(sequence, id)
        case .statusPost(let post): withScope("status", post.id, session, id) { self.post(post, session, id) }
        case .statusList(let list): withScope("status", list.id, session, id) { self.list(list, session, id) }
        case .statusDelete(let deletion):
            withScope("status", deletion.id, session, id) { self.delete(deletion, session, id) }
        case .call(let signal):
            withScope("calls", signal.id, session, id) {
                switch self.hub.signal(signal, from: id, now: self.now()) {
                case .success(let next?): self.deadlines.setIfEarlier(.calls, at: next)
                case .success(nil): break
                case .failure(let error): self.refuse(signal.id, error, id)
                }
            }
        case .refresh(let token): refresh(token, session, id)
        }
    }

    private func withScope(
        _ scope: String, _ reference: UUID, _ session: SessionHub.Session, _ id: SessionID, _ body: () -> Void
    ) {
        guard session.scopes.contains(scope) else {
            return refuse(reference, .forbidden, "the token lacks the scope \(scope)", id)
        }
        body()
    }

    private func acknowledge(_ sequence: UInt64, _ id: SessionID) {
        let (acknowledged, reading) = hub.acknowledge(id, sequence)
        read(reading)
        guard let acknowledged else { return }
        // A lost acknowledgement costs a redelivery, which the client drops by its number: no answer, no retry.
        try? writer.submit(
            { try InboxStore.acknowledge(acknowledged.inbox, through: acknowledged.through, $0) }, completion: { _ in })
    }

    private func refresh(_ token: String, _ session: SessionHub.Session, _ id: SessionID) {
        let now = now()
        guard let claims = try? claims(of: token, scope: "connect", now: now), claims.address == session.device,
            claims.expires > now
        else {
            return refuse(nil, .forbidden, "the token is not a valid one of this device with the scope connect", id)
        }
        _ = hub.update(id) {
            $0.scopes = claims.scopes
            $0.tokenExpiresAt = claims.expires
        }
        deadlines.set(.session(id), at: claims.expires)
        hub.send(
            .welcome(
                ServerFrame.Welcome(
                    device: PeerAddress(session.device), resumeToken: session.resumeToken, resumed: true,
                    credit: UInt32(configuration.creditFrames), serverTime: now)), to: id)
    }

    /// Closes a session unless its token was renewed while the deadline was on its way.
    func expireToken(of id: SessionID) {
        guard let expiresAt = hub[id]?.tokenExpiresAt else { return }
        if now() < expiresAt { return deadlines.set(.session(id), at: expiresAt) }
        hub.close(id, code: 4401, reason: "the token has expired")
    }

    // MARK: Pages

    /// Reads what a session's window asks for, until it asks no more.
    func read(_ reading: SessionHub.Reading?) {
        guard let reading else { return }
        let now = now()
        do {
            try readers.submit(
                { try InboxStore.page(of: reading.inbox, reading.request, maxBytes: Self.maxPageBytes, now: now, $0) },
                completion: { [self] result in
                    switch result {
                    case .success(let page): read(hub.received(page, for: reading.session))
                    case .failure(let error): readFailed(reading.session, error)
                    }
                })
        } catch {
            readFailed(reading.session, error)
        }
    }

    /// The client connects again and resumes: no frame is lost by it.
    private func readFailed(_ id: SessionID, _ error: EdgeError) {
        hub.readFailed(id)
        guard error.kind != .closed else { return }
        logger.error("an inbox could not be read", metadata: ["error": "\(error)"])
        hub.close(id, code: 1013, reason: "the inbox cannot be read now")
    }

    // MARK: Refusals

    func refuse(_ reference: UUID?, _ error: RouterError, _ id: SessionID) {
        refuse(reference, error.code, error.message, id)
    }

    func refuse(_ reference: UUID?, _ error: EdgeError, _ id: SessionID) {
        // While the central shuts down nothing is refused: the edge asks the next one.
        guard error.kind != .closed else { return }
        logger.error("a frame failed", metadata: ["error": "\(error)"])
        let code: FrameErrorCode = error.kind == .exhausted ? .exhausted : error.isRetryable ? .unavailable : .internal
        refuse(reference, code, error.message, id, retryAfterMs: error.isRetryable ? 1000 : nil)
    }

    func refuse(
        _ reference: UUID?, _ code: FrameErrorCode, _ message: String, _ id: SessionID, retryAfterMs: UInt32? = nil
    ) {
        metrics.refusals.increment()
        hub.send(
            .error(
                ServerFrame.Failure(
                    reference: reference, code: code, message: message, retryAfterMilliseconds: retryAfterMs)), to: id)
    }
}

extension EdgeError {
    init(_ error: RouterError) {
        let kind: EdgeError.Kind =
            switch error.code {
            case .notFound: .notFound
            case .conflict: .conflict
            case .tooLarge: .tooLarge
            case .exhausted: .exhausted
            default: .invalid
            }
        self.init(kind, error.message)
    }
}
