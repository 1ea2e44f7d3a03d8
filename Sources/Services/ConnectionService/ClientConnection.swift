import Base
import HTTP
import Runtime
import Tokens
import UplinkService
import Wire

/// One client's WebSocket and its session.
///
/// `@unchecked Sendable`: all state is used on the WebSocket's loop alone.
final class ClientConnection: @unchecked Sendable {
    let socket: WebSocket
    private let node: ConnectionNode
    private var machine: SessionStateMachine
    private var bucket: TokenBucket
    /// On the uplink; 0 while there is none.
    private var session: UInt64 = 0
    private var helloTimer: TimerID?
    private var expiryTimer: TimerID?
    /// Set once this side has begun to close.
    private var closing: (code: UInt16, reason: String)?
    private var hasEnded = false
    private var countedBytes = 0

    private var loop: EventLoop { socket.loop }

    init(_ socket: WebSocket, device: DeviceAddress, token: String, node: ConnectionNode) {
        self.socket = socket
        self.node = node
        let configuration = node.configuration
        machine = SessionStateMachine(
            device: device, token: token,
            limits: SessionStateMachine.Limits(
                maxInFlightFrames: configuration.maxFramesInFlightPerConnection,
                maxUnansweredFrames: configuration.maxUnansweredFramesPerConnection,
                maxUnansweredBytes: configuration.maxUnansweredBytesPerConnection,
                retryAfterMs: UInt32(clamping: configuration.retryAfterMs)))
        bucket = TokenBucket(
            perSecond: configuration.maxFramesPerSecond, burst: configuration.maxFrameBurst, now: socket.loop.now)
    }

    // MARK: The client

    /// Serves the WebSocket until it is closed. On its loop.
    func run() async {
        loop.preconditionOnLoop()
        helloTimer = loop.schedule(after: .milliseconds(node.configuration.helloTimeoutMs)) { [weak self] in
            self?.helloIsOverdue()
        }
        do {
            // Once closing has begun it is `close` that receives.
            while closing == nil, let message = try await socket.receive() {
                node.metrics.framesReceived.increment()
                receive(message)
            }
        } catch {}
        if let closing { await socket.close(code: closing.code, reason: closing.reason) }
        let code = socket.closeCode ?? CloseCode.abnormal
        node.metrics.countClose(code)
        _ = machine.close(code: code, socket.closeReason)
        hasEnded = true
        countUnanswered()
        endSession(code: code, reason: socket.closeReason)
        cancel(&helloTimer)
        cancel(&expiryTimer)
    }

    private func receive(_ message: WebSocketMessage) {
        guard closing == nil else { return }
        guard bucket.take(now: loop.now) else {
            return perform(machine.close(code: CloseCode.rate, "too many frames"))
        }
        guard case .text(let text) = message else {
            return perform(machine.close(code: CloseCode.protocolError, "skerry.v1.json has text frames only"))
        }
        do {
            receive(try ClientFrame(json: text), bytes: text.utf8.count)
        } catch {
            refuse(text, error)
        }
    }

    private func receive(_ frame: ClientFrame, bytes: Int) {
        var tokenExpires: WallTime?
        if case .refresh(let token) = frame {
            do {
                let claims = try node.authenticate(token)
                guard claims.address == machine.device else {
                    return refuseToken("the token is another device's")
                }
                tokenExpires = claims.expires
            } catch {
                return refuseToken("\(error.message)")
            }
        }
        let isHello = machine.isAwaitingHello
        if frame.id != nil, !node.budget.hasRoom {
            perform([machine.refuse(frame)])
        } else {
            perform(machine.receive(frame, bytes: bytes, tokenExpires: tokenExpires))
        }
        if isHello { cancel(&helloTimer) }
        countUnanswered()
    }

    private func refuseToken(_ reason: String) {
        perform([.toClient(.error(.init(reference: nil, code: .forbidden, message: reason)))])
    }

    /// A frame that cannot be read is answered, so that the client's other frames go on; what is no frame at all ends the
    /// connection.
    private func refuse(_ text: String, _ error: WireError) {
        node.metrics.framesRefused.increment()
        if error == .malformed || machine.isAwaitingHello {
            return perform(machine.close(code: CloseCode.protocolError, "\(error)"))
        }
        var code = FrameErrorCode.invalid
        if case .tooLarge = error { code = .tooLarge }
        let failure = ServerFrame.Failure(
            reference: ClientFrame.id(inRefused: text), code: code, message: "\(error)")
        perform([.toClient(.error(failure))])
    }

    private func helloIsOverdue() {
        helloTimer = nil
        if machine.isAwaitingHello {
            perform(machine.close(code: CloseCode.protocolError, "no hello came in time"))
        }
    }

    // MARK: The central

    /// From any thread; frames keep their order.
    func receive(_ frame: ServerFrame, session: UInt64) {
        loop.execute { [self] in
            guard session == self.session else { return }
            perform(machine.receive(frame))
            countUnanswered()
        }
    }

    /// The central has ended the session.
    func receive(_ close: SessionClose) {
        loop.execute { [self] in
            guard close.session == session else { return }
            node.forget(session)
            session = 0
            perform(machine.close(code: close.code, close.reason))
        }
    }

    func linkIsLost() {
        loop.execute { [self] in
            if session != 0 { node.forget(session) }
            session = 0
            machine.lostLink()
        }
    }

    /// Opens the session on a new link, after a delay.
    func linkIsUp(after delay: Duration) {
        loop.execute { [self] in openSession(after: delay) }
    }

    private func openSession(after delay: Duration) {
        if delay > .zero {
            loop.schedule(after: delay) { [weak self] in self?.openSession() }
        } else {
            openSession()
        }
    }

    private func openSession() {
        guard machine.isDetached, node.uplink.isConnected else { return }
        machine.beginOpening()
        let id = node.newSession(self)
        session = id
        let open = SessionOpen(session: id, token: machine.token, resume: machine.resume, client: machine.client)
        loop.spawn { [self] in
            do {
                let opened = try await node.uplink.openSession(open)
                guard session == id else { return }
                perform(machine.opened(opened))
            } catch {
                guard session == id else { return }
                node.metrics.sessionsRefused.increment()
                // The central may have opened it although its answer did not come in time.
                endSession(code: CloseCode.abnormal, reason: "not opened")
                perform(
                    machine.openFailed(
                        error as? EdgeError ?? EdgeError(.unavailable, "\(error)", side: .upstream)),
                    openDelay: .milliseconds(Int.random(in: 200...800)))
            }
            countUnanswered()
        }
    }

    private func endSession(code: UInt16, reason: String) {
        guard session != 0 else { return }
        node.uplink.send(.sessionClose(SessionClose(session: session, code: code, reason: reason)))
        node.forget(session)
        session = 0
    }

    // MARK: Actions

    private func perform(_ actions: [SessionStateMachine.Action], openDelay: Duration = .zero) {
        loop.preconditionOnLoop()
        for action in actions {
            switch action {
            case .toClient(let frame):
                // A client that does not read is closed by this, with 4408.
                if socket.offer(text: frame.json) { node.metrics.framesSent.increment() }
            case .toCentral(let frame): node.uplink.send(.sessionFrame(session: session, frame))
            case .open: openSession(after: openDelay)
            case .close(let code, let reason): close(code, reason)
            case .expireToken(let time): expireToken(at: time)
            }
        }
    }

    private func close(_ code: UInt16, _ reason: String) {
        guard closing == nil, !hasEnded else { return }
        // A close frame has room for 123 bytes of reason (RFC 6455 section 5.5).
        let reason = String(decoding: reason.utf8.prefix(120), as: UTF8.self)
        closing = (code, reason)
        endSession(code: code, reason: reason)
        let socket = socket
        loop.spawn { await socket.close(code: code, reason: reason) }
    }

    /// Closes with 1012. From any thread.
    func drain(reconnectAfterMs: Int) {
        loop.execute { [self] in
            perform(machine.close(code: CloseCode.restart, "reconnect_after_ms=\(reconnectAfterMs)"))
        }
    }

    private func expireToken(at time: WallTime) {
        cancel(&expiryTimer)
        // A loop's timers reach far enough, a token lives at most 30 days.
        let left = max(time - node.centralTime(), .zero)
        expiryTimer = loop.schedule(after: left) { [weak self] in
            guard let self else { return }
            self.expiryTimer = nil
            self.perform(self.machine.close(code: CloseCode.authentication, "the token has expired"))
        }
    }

    private func cancel(_ timer: inout TimerID?) {
        if let timer { loop.cancel(timer) }
        timer = nil
    }

    private func countUnanswered() {
        node.budget.add(machine.unansweredBytes - countedBytes)
        countedBytes = machine.unansweredBytes
    }
}
