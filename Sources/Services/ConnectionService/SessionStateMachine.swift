import Base
import Wire

/// One client's session: what goes up, what comes down, and what has to be said again after the uplink was lost.
///
/// Frames with an id stay here until they are answered. When a link is lost, the socket stays open; the session is opened again on
/// the next link with its resume token and the last sequence number that went to the client, the unanswered frames are sent
/// again in their order (the central knows their ids), and deliveries that the client has already are dropped.
struct SessionStateMachine {
    struct Limits: Equatable, Sendable {
        /// Frames that the central is asked at a time; the others wait here.
        var maxInFlightFrames: Int
        var maxUnansweredFrames: Int
        var maxUnansweredBytes: Int
        /// What a client is told to wait when the bounds are reached.
        var retryAfterMs: UInt32
    }

    enum Action: Equatable {
        case toClient(ServerFrame)
        case toCentral(ClientFrame)
        /// Open the session on the uplink, as soon as there is one.
        case open
        /// Close the socket; nothing follows.
        case close(code: UInt16, reason: String)
        /// Close the socket at this time of the central's clock, in place of an earlier one.
        case expireToken(at: WallTime)
    }

    private enum State: Equatable {
        case awaitingHello
        /// There is no link, or the session is not yet asked for on it.
        case detached
        case opening
        case open
        case closed
    }

    private struct Unanswered {
        var frame: ClientFrame
        var bytes: Int
        /// A refresh's: when the new token expires.
        var tokenExpires: WallTime?
    }

    private let limits: Limits
    /// Who the token says the client is.
    let device: DeviceAddress
    private(set) var token: String
    private(set) var client: String?
    private var state = State.awaitingHello
    /// From the client's hello, then from the central.
    private(set) var resume: ResumePoint?
    private var hasBeenOpen = false
    private var hasDrained = false
    /// What came for a session whose opening has not been seen to succeed yet.
    private var early: [ServerFrame] = []
    private var unanswered: [Unanswered] = []
    /// How many of them, from the first, have been sent on this link.
    private var inFlight = 0
    private(set) var unansweredBytes = 0
    /// The last ack, which a link may have taken with it.
    private var lastAck: UInt64?

    init(device: DeviceAddress, token: String, limits: Limits) {
        self.device = device
        self.token = token
        self.limits = limits
    }

    var isAwaitingHello: Bool { state == .awaitingHello }
    /// Whether the session should be opened when there is a link.
    var isDetached: Bool { state == .detached }
    var unansweredFrames: Int { unanswered.count }

    // MARK: From the client

    /// - Parameters:
    ///   - bytes: how large the frame was, for the bound.
    ///   - tokenExpires: of a refresh, whose token has been found good and of this device.
    mutating func receive(_ frame: ClientFrame, bytes: Int, tokenExpires: WallTime? = nil) -> [Action] {
        switch (state, frame) {
        case (.closed, _): return []
        case (.awaitingHello, .hello(let hello)):
            state = .detached
            resume = hello.resume
            client = hello.client
            return [.open]
        case (.awaitingHello, _): return close(code: CloseCode.protocolError, "the first frame must be a hello")
        case (_, .hello): return close(code: CloseCode.protocolError, "hello was said before")
        case (_, .ack(let sequence)):
            lastAck = max(lastAck ?? 0, sequence)
            return state == .open ? [.toCentral(frame)] : []
        case (_, .refresh(let newer)):
            // The older one may expire before there is a link again.
            if state != .open { token = newer }
            return forwardOrHold(frame, bytes: bytes, tokenExpires: tokenExpires)
        case (_, .send), (_, .statusPost), (_, .statusList), (_, .statusDelete), (_, .call):
            // The answer to the first one is the answer to both.
            if unanswered.contains(where: { $0.frame == frame }) { return [] }
            return forwardOrHold(frame, bytes: bytes)
        }
    }

    private mutating func forwardOrHold(
        _ frame: ClientFrame, bytes: Int, tokenExpires: WallTime? = nil
    ) -> [Action] {
        guard unanswered.count < limits.maxUnansweredFrames, unansweredBytes + bytes <= limits.maxUnansweredBytes else {
            return [refuse(frame)]
        }
        unanswered.append(Unanswered(frame: frame, bytes: bytes, tokenExpires: tokenExpires))
        unansweredBytes += bytes
        return state == .open ? sendWaiting() : []
    }

    private mutating func sendWaiting() -> [Action] {
        let end = min(limits.maxInFlightFrames, unanswered.count)
        guard inFlight < end else { return [] }
        defer { inFlight = end }
        return unanswered[inFlight..<end].map { .toCentral($0.frame) }
    }

    /// The answer to a frame for which there is no room.
    func refuse(_ frame: ClientFrame) -> Action {
        .toClient(
            .error(
                .init(
                    reference: frame.id, code: state == .open ? .exhausted : .unavailable,
                    message: "too many frames wait for an answer; allowed: \(limits.maxUnansweredFrames)",
                    retryAfterMilliseconds: limits.retryAfterMs)))
    }

    // MARK: From the central

    mutating func receive(_ frame: ServerFrame) -> [Action] {
        switch state {
        case .awaitingHello, .detached, .closed: return []
        case .opening:
            early.append(frame)
            return []
        case .open: break
        }
        switch frame {
        case .deliver(let deliver):
            // What is never stored has no number.
            guard deliver.sequence == 0 || isNew(deliver.sequence) else { return [] }
        case .gap(let gap):
            guard isNew(gap.to) else { return [] }
        case .accepted(let accepted): forget { $0.id == accepted.id }
        case .statusItems(let items): forget { $0.id == items.id }
        case .error(let failure):
            // Of the frames without id only a refresh is answered.
            if let reference = failure.reference { forget { $0.id == reference } } else { _ = takeRefresh() }
        case .welcome(let welcome):
            resume = ResumePoint(token: welcome.resumeToken, sequence: resume?.sequence ?? 0)
            guard let refresh = takeRefresh() else { break }
            token = refresh.token
            return [.toClient(frame)] + (refresh.expires.map { [.expireToken(at: $0)] } ?? []) + sendWaiting()
        case .drained:
            if hasDrained { return [] }
            hasDrained = true
        case .statusNew, .statusGone, .call: break
        }
        return [.toClient(frame)] + sendWaiting()
    }

    /// The client has or gives up all up to the last sequence number that was sent to it.
    private mutating func isNew(_ sequence: UInt64) -> Bool {
        guard sequence > (resume?.sequence ?? 0) else { return false }
        resume?.sequence = sequence
        return true
    }

    private mutating func forget(_ isAnswered: (ClientFrame) -> Bool) {
        guard let index = unanswered.firstIndex(where: { isAnswered($0.frame) }) else { return }
        unansweredBytes -= unanswered.remove(at: index).bytes
        if index < inFlight { inFlight -= 1 }
    }

    /// The oldest refresh that waits for its answer.
    private mutating func takeRefresh() -> (token: String, expires: WallTime?)? {
        for entry in unanswered {
            if case .refresh(let token) = entry.frame {
                forget { $0 == entry.frame }
                return (token, entry.tokenExpires)
            }
        }
        return nil
    }

    // MARK: The session on the uplink

    /// The request to open the session has been sent.
    mutating func beginOpening() {
        precondition(state == .detached)
        state = .opening
        early = []
    }

    mutating func opened(_ opened: SessionOpened) -> [Action] {
        guard state == .opening else { return [] }
        guard opened.device == device else {
            return close(code: CloseCode.authentication, "the token is another device's")
        }
        let isFirst = !hasBeenOpen
        if !isFirst && !opened.resumed {
            // What was delivered in between cannot be told apart from what was not: the client starts anew.
            return close(code: CloseCode.restart, "reconnect_after_ms=0")
        }
        let knewToken = resume?.token
        resume = ResumePoint(token: opened.resumeToken, sequence: opened.resumed ? resume?.sequence ?? 0 : 0)
        state = .open
        hasBeenOpen = true
        var actions: [Action] = [.expireToken(at: opened.tokenExpiresAt)]
        // A later welcome only brings a new resume token.
        if isFirst || knewToken != opened.resumeToken {
            actions.append(.toClient(.welcome(welcome(opened))))
        }
        if let lastAck { actions.append(.toCentral(.ack(sequence: lastAck))) }
        inFlight = 0
        actions += sendWaiting()
        let waiting = early
        early = []
        for frame in waiting { actions += receive(frame) }
        return actions
    }

    private func welcome(_ opened: SessionOpened) -> ServerFrame.Welcome {
        ServerFrame.Welcome(
            device: PeerAddress(opened.device), resumeToken: opened.resumeToken, resumed: opened.resumed,
            credit: opened.credit, serverTime: opened.serverTime)
    }

    /// The session could not be opened.
    mutating func openFailed(_ error: EdgeError) -> [Action] {
        guard state == .opening else { return [] }
        switch error.kind {
        case .unauthenticated, .forbidden: return close(code: CloseCode.authentication, error.message)
        case .invalid: return close(code: CloseCode.protocolError, error.message)
        default:
            // What the central itself refused it would refuse again.
            guard error.side == .upstream else {
                return close(code: CloseCode.tryLater, "the session cannot be opened now")
            }
            state = .detached
            return [.open]
        }
    }

    /// The uplink was lost.
    mutating func lostLink() {
        guard state == .open || state == .opening else { return }
        state = .detached
        early = []
    }

    // MARK: The end

    /// - Returns: nothing when it is closed already.
    mutating func close(code: UInt16, _ reason: String) -> [Action] {
        guard state != .closed else { return [] }
        state = .closed
        early = []
        unanswered = []
        unansweredBytes = 0
        return [.close(code: code, reason: reason)]
    }
}
