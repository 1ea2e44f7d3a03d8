package import Base
package import Runtime
import Synchronization
import WebSocketCodec

package enum WebSocketMessage: Equatable, Sendable {
    case text(String)
    case binary([UInt8])
}

/// A WebSocket (RFC 6455), of a server or a client.
///
/// One task receives; it must go on doing so, since that is also what answers pings and notices the end. Any number of
/// tasks send, on any thread: frames wait in a bounded queue, and those of one turn of the loop leave in one send. A peer
/// that is silent although pinged is given up; one that does not take what waits for it is closed with 4408.
///
/// An idle one holds no buffer. A message that comes costs the allocation of its payload, one that goes that of its frame.
///
/// `@unchecked Sendable`: `state` is under its lock, `onLoop` is touched on the loop alone, which the stream's entries check.
package final class WebSocket: @unchecked Sendable {
    package struct Configuration: Equatable, Sendable {
        /// Frames that wait to be sent, together.
        package var maxQueuedBytes = 4_194_304
        /// Without the kernel taking any of the frames that wait.
        package var sendTimeoutMs = 15_000
        /// A peer that has sent nothing for so long is pinged.
        package var pingIntervalMs = 25_000
        /// A peer that has sent nothing for so long after a ping is given up.
        package var pongTimeoutMs = 20_000
        /// For the peer's answer to a close frame.
        package var closeTimeoutMs = 3_000
        /// Fragments without payload in one message, beside its last.
        package var maxEmptyFragments = 1_000

        package init() {}
    }

    /// The close code for a peer that does not read what it is sent.
    package static let tooSlowCode: UInt16 = 4408
    /// The close code for a message above the limit.
    package static let tooLargeCode: UInt16 = 4413
    /// Never sent: stands for a connection that was lost (RFC 6455 section 7.4.1).
    package static let abnormalCode: UInt16 = 1006

    private struct State {
        var outbox: WebSocketOutbox
        var closeCode: UInt16?
        var closeReason = ""
        var isFinished = false
        var spaceWaiters: [CheckedContinuation<Void, Never>] = []
        var finishWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private struct LoopState {
        var decoder: WebSocketDecoder
        var isReceiving = false
        var lastArrival: MonotonicInstant
        /// A ping is out, and nothing has come since.
        var awaitsPong = false
        /// What has come so far was looked at, so that the next frame need not wait for company.
        var sendsAtOnce = false
        /// A task waits for the kernel to take more.
        var hasWriter = false
        /// The ping to be answered when it does: of several, the last (RFC 6455 section 5.5.3).
        var heldPing: [UInt8]?
        var pingTimer: TimerID?
        var closeTimer: TimerID?
    }

    /// The subprotocol that both sides agreed on.
    package let subprotocol: String?
    package let loop: EventLoop
    package let remoteAddress: SocketAddress
    private let role: WebSocketRole
    private let configuration: Configuration
    private let stream: ByteStream
    private let state: Mutex<State>
    private var onLoop: LoopState

    /// Takes over a stream behind its handshake. Called on the loop.
    init(
        over stream: ByteStream, role: WebSocketRole, subprotocol: String?, maxMessageBytes: Int,
        configuration: Configuration
    ) {
        self.stream = stream
        self.role = role
        self.subprotocol = subprotocol
        self.configuration = configuration
        loop = stream.loop
        remoteAddress = stream.remoteAddress
        let decoder = WebSocketDecoder(
            role: role, maxMessageBytes: maxMessageBytes, maxEmptyFragments: configuration.maxEmptyFragments)
        onLoop = LoopState(decoder: decoder, lastArrival: stream.loop.now)
        state = Mutex(State(outbox: WebSocketOutbox(maxBytes: configuration.maxQueuedBytes)))
        schedulePing(after: .milliseconds(configuration.pingIntervalMs))
    }

    deinit {
        // Nobody can use it any more: a socket that was not closed properly ends here.
        loop.execute { [stream] in stream.close() }
    }

    /// The code of the close frame that came first, the peer's or ours; 1005 for one without, 1006 for a connection that
    /// was lost; nil while open.
    package var closeCode: UInt16? { state.withLock { $0.closeCode } }
    package var closeReason: String { state.withLock { $0.closeReason } }
    private var isFinished: Bool { state.withLock { $0.isFinished } }

    // MARK: Receiving

    /// The next message; nil when the WebSocket is closed, whoever closed it: `closeCode` tells. A peer's faults close it
    /// with the code that belongs to them; cancelling the task cuts it off.
    package func receive() async throws -> WebSocketMessage? {
        guard loop.isCurrent else { return try await loop.run { [self] in try await receive() } }
        return await withTaskCancellationHandler {
            await receiveOnLoop()
        } onCancel: {
            loop.execute { [self] in stream.close() }
        }
    }

    /// What the bytes that are here make.
    private enum Progress {
        case message(WebSocketMessage)
        case needsMore
        /// A close frame has come, or what must be answered with one.
        case ended
    }

    // Suspended in every open WebSocket: what it keeps over the wait is memory of each of them.
    private func receiveOnLoop() async -> WebSocketMessage? {
        if onLoop.isReceiving, closeCode != nil {
            // The task that closes receives what is left.
            await untilFinished()
            return nil
        }
        precondition(!onLoop.isReceiving, "two tasks receive on one WebSocket")
        onLoop.isReceiving = true
        while !isFinished {
            switch advance() {
            case .message(let message):
                onLoop.isReceiving = false
                return message
            case .needsMore:
                flush()
                if await hasReceived() { continue }
            case .ended: break
            }
            break
        }
        await finish()
        onLoop.isReceiving = false
        return nil
    }

    private func hasReceived() async -> Bool {
        guard (try? await stream.receive()) == true else { return false }
        onLoop.lastArrival = loop.now
        onLoop.awaitsPong = false
        return true
    }

    private func advance() -> Progress {
        do {
            while let event = try nextEvent() {
                switch event {
                case .text(let text) where closeCode == nil: return .message(.text(text))
                case .binary(let bytes) where closeCode == nil: return .message(.binary(bytes))
                case .ping(let payload) where closeCode == nil: answerPing(payload)
                case .text, .binary, .ping, .pong: break
                case .close(let code, let reason):
                    beginClose(code: code ?? 1005, reason: reason, dropping: false)
                    return .ended
                }
            }
            return .needsMore
        } catch {
            let code = error == .messageTooLarge ? Self.tooLargeCode : error.closeCode
            beginClose(code: code, reason: "\(error)", dropping: false)
            return .ended
        }
    }

    private func nextEvent() throws(WebSocketError) -> WebSocketEvent? {
        if stream.inbound.isEmpty { return nil }
        var offset = 0
        let event = try stream.inbound.withBytes { bytes throws(WebSocketError) in
            try onLoop.decoder.next(in: bytes, from: &offset)
        }
        stream.inbound.consume(offset)
        onLoop.sendsAtOnce = stream.inbound.isEmpty
        return event
    }

    // MARK: Sending

    /// Queues a text message; waits while the queue is full.
    ///
    /// - Throws: `EdgeError` `.closed` once the WebSocket is closed.
    package func send(text: String) async throws {
        while try !isTaken(add(text)) { await waitForSpace() }
    }

    /// Queues a binary message; waits while the queue is full.
    ///
    /// - Throws: `EdgeError` `.closed` once the WebSocket is closed.
    package func send(binary: [UInt8]) async throws {
        while try !isTaken(add(binary)) { await waitForSpace() }
    }

    /// Queues a text message without waiting: when the queue is full, the peer is too slow, and is closed with 4408.
    ///
    /// - Returns: false if the WebSocket is closed, by this too.
    @discardableResult
    package func offer(text: String) -> Bool { isTakenOrCloses(add(text)) }

    /// Queues a binary message without waiting, as `offer(text:)`.
    @discardableResult
    package func offer(binary: [UInt8]) -> Bool { isTakenOrCloses(add(binary)) }

    private func isTaken(_ admission: WebSocketOutbox.Admission) throws -> Bool {
        switch admission {
        case .queued: return true
        case .closed: throw EdgeError(.closed, "the WebSocket is closed", isRetryable: false)
        case .full: return false
        }
    }

    private func isTakenOrCloses(_ admission: WebSocketOutbox.Admission) -> Bool {
        switch admission {
        case .queued: return true
        case .closed: return false
        case .full:
            beginClose(code: Self.tooSlowCode, reason: "too slow", dropping: true)
            return false
        }
    }

    /// Waits until some of what is queued has been handed to the kernel.
    private func waitForSpace() async {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                if state.outbox.isEmpty || state.outbox.isClosed { return false }
                state.spaceWaiters.append(continuation)
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }

    private func add(_ text: String) -> WebSocketOutbox.Admission {
        var text = text
        return text.withUTF8 { add(.text, UnsafeRawBufferPointer($0)) }
    }

    private func add(_ bytes: [UInt8]) -> WebSocketOutbox.Admission {
        bytes.withUnsafeBytes { add(.binary, $0) }
    }

    private func add(_ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer) -> WebSocketOutbox.Admission {
        let mask = newMask()
        let admission = state.withLock { $0.outbox.add(opcode, payload, mask: mask) }
        if case .queued(let needsSender) = admission { wakeSender(ifNeeded: needsSender) }
        return admission
    }

    private func newMask() -> UInt32? { role == .client ? UInt32.random(in: 0...UInt32.max) : nil }

    /// An answer to the last message that has come goes out at once; others at the end of the loop's turn, together.
    private func wakeSender(ifNeeded isNeeded: Bool) {
        if loop.isCurrent, onLoop.sendsAtOnce {
            onLoop.sendsAtOnce = false
            flush()
        } else if isNeeded {
            loop.execute { [self] in flush() }
        }
    }

    /// Hands what is queued to the kernel, unless a task does. On the loop.
    private func flush() {
        guard !onLoop.hasWriter else { return }
        while case let batch = nextBatch(), !batch.isEmpty {
            do {
                let sent = try stream.trySend(batch)
                guard sent < batch.count else { continue }
                onLoop.hasWriter = true
                loop.spawn { [self] in await write(batch, from: sent) }
            } catch {
                abort(code: Self.abnormalCode)
            }
            return
        }
    }

    /// Sends what waits, as the kernel takes it, and ends when nothing does.
    private func write(_ first: [UInt8], from start: Int) async {
        let deadline = StreamDeadline(stream)
        defer {
            deadline.cancel()
            onLoop.hasWriter = false
        }
        var batch = first
        var sent = start
        do {
            while !batch.isEmpty {
                while sent < batch.count {
                    deadline.set(.milliseconds(configuration.sendTimeoutMs))
                    try await stream.waitUntilSendable()
                    sent += try stream.trySend(batch, from: sent)
                }
                batch = heldPong() ?? nextBatch()
                sent = batch.isEmpty ? 0 : try stream.trySend(batch)
            }
        } catch {
            abort(code: error == .timedOut ? Self.tooSlowCode : Self.abnormalCode)
        }
    }

    private func nextBatch() -> [UInt8] {
        let (batch, waiters) = state.withLock { state in
            let batch = state.outbox.nextBatch()
            defer { state.spaceWaiters = [] }
            return (batch, state.spaceWaiters)
        }
        for waiter in waiters { waiter.resume() }
        return batch
    }

    private func answerPing(_ payload: [UInt8]) {
        if onLoop.hasWriter {
            onLoop.heldPing = payload
        } else {
            _ = payload.withUnsafeBytes { add(.pong, $0) }
        }
    }

    private func heldPong() -> [UInt8]? {
        guard let payload = onLoop.heldPing else { return nil }
        onLoop.heldPing = nil
        var frame: [UInt8] = []
        WebSocketFrame.append(.pong, payload: payload, mask: newMask(), to: &frame)
        return frame
    }

    // MARK: Closing

    /// Sends a close frame and waits for the peer's, within a bound; then the connection is closed. Closing twice waits for
    /// the first one.
    package func close(code: UInt16 = 1000, reason: String = "") async {
        beginClose(code: code, reason: reason, dropping: code == Self.tooSlowCode)
        try? await loop.run { [self] in
            if !onLoop.isReceiving { while await receiveOnLoop() != nil {} }
            await untilFinished()
        }
    }

    private func untilFinished() async {
        await withCheckedContinuation { continuation in
            let isFinished = state.withLock { state in
                if !state.isFinished { state.finishWaiters.append(continuation) }
                return state.isFinished
            }
            if isFinished { continuation.resume() }
        }
    }

    /// Queues the close frame if none is, ours or the echo of the peer's.
    private func beginClose(code: UInt16, reason: String, dropping: Bool) {
        let payload = code == 1005 ? [] : WebSocketFrame.closePayload(code: code, reason: reason)
        let mask = newMask()
        let (admission, waiters) = state.withLock { state in
            if state.closeCode == nil {
                state.closeCode = code
                state.closeReason = reason
            }
            defer { state.spaceWaiters = [] }
            let admission = payload.withUnsafeBytes { state.outbox.close($0, mask: mask, dropping: dropping) }
            return (admission, state.spaceWaiters)
        }
        for waiter in waiters { waiter.resume() }
        guard case .queued(let needsSender) = admission else { return }
        if needsSender { loop.execute { [self] in flush() } }
        loop.execute { [self] in
            guard onLoop.closeTimer == nil, !stream.isClosed else { return }
            onLoop.closeTimer = loop.schedule(after: .milliseconds(configuration.closeTimeoutMs)) { [weak self] in
                self?.stream.close(.timedOut)
            }
        }
    }

    /// Lets what waits go out, then closes the connection. On the loop.
    @inline(never)  // or each wait for a message would keep room for it
    private func finish() async {
        flush()
        await waitUntilSent()
        // A peer that ended without a close frame leaves the queue open, but from here on the stream's end is who sends: the
        // records of a peer that does not read wait there.
        state.withLock { $0.outbox.abandon() }
        if !stream.isClosed {
            let deadline = StreamDeadline(stream)
            deadline.set(.milliseconds(configuration.closeTimeoutMs))
            await stream.finish()
            deadline.cancel()
            await dropUntilEnd()
        }
        abort(code: Self.abnormalCode)
    }

    /// Closing over unread bytes would make the kernel reset the connection and take the close frame back. The timer that
    /// began with the close ends this.
    private func dropUntilEnd() async {
        guard onLoop.closeTimer != nil else { return }
        do {
            repeat { stream.inbound.consume(stream.inbound.count) } while try await stream.receive()
        } catch {}
    }

    private func waitUntilSent() async {
        while !state.withLock({ $0.outbox.isEmpty }), !stream.isClosed { await waitForTurn() }
    }

    private func waitForTurn() async {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                if state.outbox.isEmpty { return false }
                state.spaceWaiters.append(continuation)
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }

    /// Closes the connection and tells everybody. On the loop.
    private func abort(code: UInt16) {
        if let timer = onLoop.pingTimer { loop.cancel(timer) }
        if let timer = onLoop.closeTimer { loop.cancel(timer) }
        onLoop.pingTimer = nil
        onLoop.closeTimer = nil
        stream.close()
        let waiters = state.withLock { state in
            if state.closeCode == nil { state.closeCode = code }
            state.outbox.abandon()
            state.isFinished = true
            defer {
                state.spaceWaiters = []
                state.finishWaiters = []
            }
            return state.spaceWaiters + state.finishWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: Liveness

    private func schedulePing(after delay: Duration) {
        onLoop.pingTimer = loop.schedule(after: delay) { [weak self] in self?.ping() }
    }

    private func ping() {
        let interval = Duration.milliseconds(configuration.pingIntervalMs)
        let silence = loop.now - onLoop.lastArrival
        guard silence >= interval else { return schedulePing(after: interval - silence) }
        _ = add(.ping, UnsafeRawBufferPointer(start: nil, count: 0))
        onLoop.awaitsPong = true
        onLoop.pingTimer = loop.schedule(after: .milliseconds(configuration.pongTimeoutMs)) { [weak self] in
            self?.checkPong()
        }
    }

    private func checkPong() {
        // While nobody receives, silence says nothing about the peer.
        if onLoop.awaitsPong, onLoop.isReceiving {
            stream.close(.timedOut)
        } else {
            schedulePing(after: .milliseconds(configuration.pingIntervalMs))
        }
    }
}
