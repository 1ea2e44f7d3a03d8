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
/// tasks send, on any thread: frames wait in a bounded queue. A peer that is silent although pinged is given up; one that
/// does not take what waits for it is closed with 4408.
package final class WebSocket: Sendable {
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

    /// What the receiving side uses, on the loop alone.
    ///
    /// `@unchecked Sendable`: touched on the stream's loop only, which the stream's own entries check.
    private final class Inbound: @unchecked Sendable {
        var decoder: WebSocketDecoder
        let sendDeadline: StreamDeadline
        var isReceiving = false
        var lastArrival: MonotonicInstant
        /// A ping is out, and nothing has come since.
        var awaitsPong = false
        var pingTimer: TimerID?
        var closeTimer: TimerID?

        init(decoder: WebSocketDecoder, stream: ByteStream) {
            self.decoder = decoder
            sendDeadline = StreamDeadline(stream)
            lastArrival = stream.loop.now
        }
    }

    /// The subprotocol that both sides agreed on.
    package let subprotocol: String?
    package let loop: EventLoop
    package let remoteAddress: SocketAddress
    private let role: WebSocketRole
    private let configuration: Configuration
    private let stream: ByteStream
    private let inbound: Inbound
    private let state: Mutex<State>

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
        inbound = Inbound(decoder: WebSocketDecoder(role: role, maxMessageBytes: maxMessageBytes), stream: stream)
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

    // MARK: Receiving

    /// The next message; nil when the WebSocket is closed, whoever closed it: `closeCode` tells. A peer's faults close it
    /// with the code that belongs to them; cancelling the task cuts it off.
    package func receive() async throws -> WebSocketMessage? {
        try await withTaskCancellationHandler {
            try await loop.run { [self] in await receiveOnLoop() }
        } onCancel: {
            loop.execute { [self] in stream.close() }
        }
    }

    private func receiveOnLoop() async -> WebSocketMessage? {
        if inbound.isReceiving, closeCode != nil {
            // The task that closes receives what is left.
            await untilFinished()
            return nil
        }
        precondition(!inbound.isReceiving, "two tasks receive on one WebSocket")
        inbound.isReceiving = true
        defer { inbound.isReceiving = false }
        while !state.withLock({ $0.isFinished }) {
            do {
                while let event = try nextEvent() {
                    switch event {
                    case .text(let text) where closeCode == nil: return .text(text)
                    case .binary(let bytes) where closeCode == nil: return .binary(bytes)
                    case .ping(let payload): _ = add(.pong, payload)
                    case .text, .binary, .pong: break
                    case .close(let code, let reason):
                        beginClose(code: code ?? 1005, reason: reason, dropping: false)
                        await finish()
                        return nil
                    }
                }
                guard try await stream.receive() else { break }
                inbound.lastArrival = loop.now
                inbound.awaitsPong = false
            } catch let error as WebSocketError {
                let code = error == .messageTooLarge ? Self.tooLargeCode : error.closeCode
                beginClose(code: code, reason: "\(error)", dropping: false)
                await finish()
                return nil
            } catch {
                break
            }
        }
        await finish()
        return nil
    }

    private func nextEvent() throws(WebSocketError) -> WebSocketEvent? {
        var offset = 0
        let event = try stream.inbound.withBytes { bytes throws(WebSocketError) in
            try inbound.decoder.next(in: bytes, from: &offset)
        }
        stream.inbound.consume(offset)
        return event
    }

    // MARK: Sending

    /// Queues a text message; waits while the queue is full.
    ///
    /// - Throws: `EdgeError` `.closed` once the WebSocket is closed.
    package func send(text: String) async throws {
        try await send(.text, Array(text.utf8))
    }

    /// Queues a binary message; waits while the queue is full.
    ///
    /// - Throws: `EdgeError` `.closed` once the WebSocket is closed.
    package func send(binary: [UInt8]) async throws {
        try await send(.binary, binary)
    }

    /// Queues a text message without waiting: when the queue is full, the peer is too slow, and is closed with 4408.
    ///
    /// - Returns: false if the WebSocket is closed, by this too.
    @discardableResult
    package func offer(text: String) -> Bool { offer(.text, Array(text.utf8)) }

    /// Queues a binary message without waiting, as `offer(text:)`.
    @discardableResult
    package func offer(binary: [UInt8]) -> Bool { offer(.binary, binary) }

    private func offer(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> Bool {
        switch add(opcode, payload) {
        case .queued: return true
        case .closed: return false
        case .full:
            beginClose(code: Self.tooSlowCode, reason: "too slow", dropping: true)
            return false
        }
    }

    private func send(_ opcode: WebSocketOpcode, _ payload: [UInt8]) async throws {
        while true {
            switch add(opcode, payload) {
            case .queued: return
            case .closed: throw EdgeError(.closed, "the WebSocket is closed", isRetryable: false)
            case .full: await waitForSpace()
            }
        }
    }

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

    private func add(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> WebSocketOutbox.Admission {
        let frame = frame(opcode, payload)
        let admission = state.withLock { $0.outbox.add(frame) }
        if admission == .queued(startsWriter: true) { startWriter() }
        return admission
    }

    private func frame(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = []
        let mask = role == .client ? UInt32.random(in: 0...UInt32.max) : nil
        WebSocketFrame.append(opcode, payload: payload, mask: mask, to: &frame)
        return frame
    }

    private func startWriter() {
        loop.spawn { [self] in await write() }
    }

    /// Sends what waits, and ends when nothing does.
    private func write() async {
        while true {
            let (batch, waiters) = state.withLock { state in
                let batch = state.outbox.nextBatch()
                defer { state.spaceWaiters = [] }
                return (batch, state.spaceWaiters)
            }
            for waiter in waiters { waiter.resume() }
            if batch.isEmpty { return }
            do {
                var offset = 0
                while offset < batch.count {
                    let end = min(offset + 64 * 1024, batch.count)
                    inbound.sendDeadline.set(.milliseconds(configuration.sendTimeoutMs))
                    try await stream.send(offset == 0 && end == batch.count ? batch : Array(batch[offset..<end]))
                    offset = end
                }
                inbound.sendDeadline.lift()
            } catch {
                inbound.sendDeadline.lift()
                abort(code: error == .timedOut ? Self.tooSlowCode : Self.abnormalCode)
                return
            }
        }
    }

    // MARK: Closing

    /// Sends a close frame and waits for the peer's, within a bound; then the connection is closed. Closing twice waits for
    /// the first one.
    package func close(code: UInt16 = 1000, reason: String = "") async {
        beginClose(code: code, reason: reason, dropping: code == Self.tooSlowCode)
        try? await loop.run { [self] in
            if !inbound.isReceiving { while await receiveOnLoop() != nil {} }
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
        let frame = frame(.close, payload)
        let (admission, waiters) = state.withLock { state in
            if state.closeCode == nil {
                state.closeCode = code
                state.closeReason = reason
            }
            defer { state.spaceWaiters = [] }
            return (state.outbox.close(with: frame, dropping: dropping), state.spaceWaiters)
        }
        for waiter in waiters { waiter.resume() }
        guard case .queued(let startsWriter) = admission else { return }
        if startsWriter { startWriter() }
        loop.execute { [self] in
            guard inbound.closeTimer == nil, !stream.isClosed else { return }
            inbound.closeTimer = loop.schedule(after: .milliseconds(configuration.closeTimeoutMs)) { [weak self] in
                self?.stream.close(.timedOut)
            }
        }
    }

    /// Lets what waits go out, then closes the connection. On the loop.
    private func finish() async {
        await waitUntilSent()
        if !stream.isClosed {
            await stream.finish()
            await dropUntilEnd()
        }
        abort(code: Self.abnormalCode)
    }

    /// Closing over unread bytes would make the kernel reset the connection and take the close frame back. The timer that
    /// began with the close ends this.
    private func dropUntilEnd() async {
        guard inbound.closeTimer != nil else { return }
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
        if let timer = inbound.pingTimer { loop.cancel(timer) }
        if let timer = inbound.closeTimer { loop.cancel(timer) }
        inbound.pingTimer = nil
        inbound.closeTimer = nil
        inbound.sendDeadline.cancel()
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
        inbound.pingTimer = loop.schedule(after: delay) { [weak self] in self?.ping() }
    }

    private func ping() {
        let interval = Duration.milliseconds(configuration.pingIntervalMs)
        let silence = loop.now - inbound.lastArrival
        guard silence >= interval else { return schedulePing(after: interval - silence) }
        _ = add(.ping, [])
        inbound.awaitsPong = true
        inbound.pingTimer = loop.schedule(after: .milliseconds(configuration.pongTimeoutMs)) { [weak self] in
            self?.checkPong()
        }
    }

    private func checkPong() {
        // While nobody receives, silence says nothing about the peer.
        if inbound.awaitsPong, inbound.isReceiving {
            stream.close(.timedOut)
        } else {
            schedulePing(after: .milliseconds(configuration.pingIntervalMs))
        }
    }
}
