public import Base
import STUN

extension RelayEngine {
    public enum RequestOutcome: Sendable {
        /// No answer.
        case silence
        /// Send this many bytes of the output to the client.
        case respond(Int)
        /// Send this many bytes of the output to that client, which may be another than has asked, and by that listener.
        case respondBy(FiveTuple, Int)
        /// Ask the operator's server, call `learn` with what it says, and `answer` with the same request again.
        case ask(AuthorizationQuery)
        /// Open relay sockets, then call `completeAllocation` or `refuseAllocation`. The client's former allocation has
        /// expired.
        case openRelay(PendingAllocation, former: Closed?)
        /// The allocation is gone; then as `respond`.
        case closeRelay(Closed, respond: Int)
        /// One of an allocation's two relayed transport addresses is gone; then as `respond`.
        case closeFamily(AllocationID, IPAddress.Family, port: UInt16, respond: Int)
        /// The request is for the mobile allocation of that number, which this event loop does not have: hand it to the one that
        /// has; where none has, send the refusal of so many bytes.
        case elsewhere(number: UInt64, refusal: Int)
        /// Connect to a peer, then call `completeConnection`.
        case connect(PendingConnection)
        /// Join the client's connection with a peer's, then call `completeBinding`.
        case bindConnection(PendingBinding)
    }

    /// The largest request: every attribute that a request may carry at its largest.
    public static let maxRequestByteCount = 2560

    private static let authenticatedMethods: [STUNMethod] = [
        .allocate, .refresh, .createPermission, .channelBind, .connect, .connectionBind,
    ]

    /// Answers a request.
    ///
    /// - Parameter output: at least `maxAnswerByteCount` bytes.
    public mutating func answer(
        _ datagram: RawSpan, from tuple: FiveTuple, now: MonotonicInstant, wallTime: WallTime,
        into output: UnsafeMutableRawBufferPointer
    ) -> RequestOutcome {
        guard datagram.byteCount <= Self.maxRequestByteCount, let message = try? STUNMessage(datagram),
            message.type.messageClass == .request
        else { return silence(.malformed) }
        var answer = Answer(message, to: tuple, output: output)
        let method = message.type.method
        if method == .binding { return bind(message, &answer, now: now) }
        guard Self.authenticatedMethods.contains(method) else { return silence(.malformed) }

        let id = liveAllocation(of: tuple, now: now)
        let identity: Identity
        switch authenticate(message, tuple, id, now: now, wallTime: wallTime) {
        case .identity(let found): identity = found
        case .refused(let code): return challenge(code, answer, id, now: now)
        case .ask(let query):
            // Who asks about a user that nothing knows is a stranger, whatever allocation it holds.
            guard limiter.allows(tuple.client.ip, now: now) else { return silence(.rateLimited) }
            return .ask(query)
        }
        answer.integrity = (identity.integrity, identity.key)
        let unknown = message.unknownAttributes(limit: 8)
        guard unknown.isEmpty else { return fail(.unknownAttribute, answer) { $0.append(unknownAttributes: unknown) } }
        return serve(message, answer, identity, id, now: now)
    }

    /// Answers a request that has been authenticated and understood.
    private mutating func serve(
        _ message: borrowing STUNMessage, _ answer: Answer, _ identity: Identity, _ id: AllocationID?,
        now: MonotonicInstant
    ) -> RequestOutcome {
        let method = message.type.method
        if method == .allocate { return allocate(message, answer, identity, id, now: now) }
        if method == .refresh, let ticket = message.value(.mobilityTicket) {
            return move(message, answer, identity, id, ticket: ticket, now: now)
        }
        if method == .connectionBind { return bindConnection(message, answer, identity, id) }
        guard let id else {
            if method == .refresh, recentlyDeleted.contains(answer.tuple, message.transactionID) {
                return .respond(answer.succeed { $0.append(.lifetime, number: 0) })
            }
            return fail(.allocationMismatch, answer)
        }
        guard identity.isOwner(of: allocations[id].identity) else { return fail(.wrongCredentials, answer) }
        allocations[id].renew(identity)
        if allocations[id].nextTuple != nil { arrive(id, at: answer.tuple) }
        switch method {
        case .refresh: return refresh(message, answer, identity, id, now: now)
        case .createPermission: return createPermission(message, answer, id, now: now)
        case .connect: return connect(message, answer, id)
        default: return bindChannel(message, answer, id, now: now)
        }
    }

    /// Refuses what was not authenticated, at a bounded rate. A client that holds an allocation has one of its own, which strangers of its
    /// prefix do not use up: its address may be forged, but it needs few such answers.
    private mutating func challenge(
        _ code: STUNErrorCode, _ answer: Answer, _ id: AllocationID?, now: MonotonicInstant
    ) -> RequestOutcome {
        let mayAnswer =
            if let id { allocations[id].mayBeChallenged(now: now) } else {
                limiter.allows(answer.tuple.client.ip, now: now)
            }
        guard mayAnswer else { return silence(.rateLimited) }
        guard code == .unauthenticated || code == .staleNonce else { return fail(code, answer) }
        statistics.error(code, over: answer.tuple.transport)
        return .respond(answer.refuse(code) { appendChallenge(to: &$0, for: answer.tuple, now: now) })
    }

    // MARK: - Answers

    mutating func silence(_ reason: RelayDropReason) -> RequestOutcome {
        statistics.drop(reason)
        return .silence
    }

    mutating func fail(
        _ code: STUNErrorCode, _ answer: Answer, _ body: (inout STUNWriter) -> Void = { _ in }
    ) -> RequestOutcome {
        statistics.error(code, over: answer.tuple.transport)
        return .respond(answer.refuse(code, body))
    }
}
