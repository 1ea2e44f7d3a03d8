import Base
import CNGHTTP2
import HTTPCodec
import Runtime

/// One HTTP/2 connection of a server (RFC 9113): a task receives, another sends, and each request has one of its own, which is
/// cancelled when its stream is reset or the connection ends.
///
/// Frames are made when the socket has taken those before, so that what waits to be sent is one batch, whatever the peer does.
///
/// `@unchecked Sendable`: all state is used on the stream's loop; other threads reach it by `loop.execute`.
final class HTTP2Connection: @unchecked Sendable {
    let server: HTTPServer
    let stream: ByteStream
    let configuration: HTTPServer.Configuration
    let session: HTTP2Session
    var guardian: HTTP2AbuseGuard
    /// The streams whose request has come and that are not closed.
    var exchanges: [Int32: HTTP2Exchange] = [:]
    /// Handlers at work; those of closed streams too.
    var handlerCount = 0
    var requestCount = 0
    var head = HTTP2Head()
    var fieldBlock = HTTP2FieldBlock()
    var output: [UInt8] = []
    /// The bound that the peer has broken, from the callback that noticed to the end of `take`.
    var abuse: HTTP2AbuseGuard.Reason?
    /// Requests that come from now on are refused.
    private(set) var isDraining = false
    /// Nothing more is served: what waits is sent, then the connection ends.
    private(set) var isEnding = false
    private(set) var hasEnded = false
    /// When a head, or the peer's first settings, become too late.
    var headDeadline: MonotonicInstant?
    private var idleDeadline: MonotonicInstant?
    private var timer: (id: TimerID, firesAt: MonotonicInstant)?
    private var writer: UnsafeContinuation<Void, Never>?
    private var lastHandler: UnsafeContinuation<Void, Never>?

    /// Bytes of frames that are handed to the socket at once, roughly.
    static let batchBytes = 64 * 1024

    var loop: EventLoop { stream.loop }

    init(_ server: HTTPServer, _ stream: ByteStream) {
        self.server = server
        self.stream = stream
        configuration = server.configuration
        session = HTTP2Session(configuration)
        guardian = HTTP2AbuseGuard(configuration.http2, now: stream.loop.now)
        nghttp2_session_set_user_data(session.pointer, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Serves until the connection ends. The stream is closed then.
    func run() async {
        headDeadline = deadline(after: configuration.headTimeoutMs)
        let sender = loop.spawn { [self] in await send() }
        await receive()
        hasEnded = true
        for exchange in Array(exchanges.values) {
            exchange.close(
                EdgeError(.closed, "the connection was closed while answering", side: .peer, isRetryable: true))
        }
        exchanges = [:]
        stream.close()
        wakeSender()
        await sender.value
        if handlerCount > 0 { await withUnsafeContinuation { lastHandler = $0 } }
        if let timer { loop.cancel(timer.id) }
    }

    /// Lets the requests that have come end, and takes no others (RFC 9113 section 6.8).
    func drain() {
        guard !isDraining, !isEnding, !hasEnded else { return }
        let last = nghttp2_session_get_last_proc_stream_id(session.pointer)
        nghttp2_submit_goaway(session.pointer, 0, last, NGHTTP2_NO_ERROR.rawValue, nil, 0)
        isDraining = true
        if exchanges.isEmpty { isEnding = true }
        wakeSender()
    }

    /// Tells the peer why, and ends.
    private func terminate(_ code: nghttp2_error_code) {
        guard !isEnding else { return }
        isEnding = true
        for exchange in Array(exchanges.values) {
            exchange.close(EdgeError(.closed, "the connection was ended", side: .peer, isRetryable: true))
        }
        // For what waits to be sent, and for the peer to close.
        idleDeadline = deadline(after: 2_000)
        nghttp2_session_terminate_session(session.pointer, code.rawValue)
        wakeSender()
    }

    // MARK: Receiving

    private func receive() async {
        do {
            while !hasEnded {
                if !stream.inbound.isEmpty { take() }
                guard try await stream.receive() else { return }
            }
        } catch {
            // The peer is gone or was too slow; there is nobody to tell.
        }
    }

    private func take() {
        if !isEnding {
            guardian.begin(at: loop.now)
            let error = stream.inbound.withBytes { session.receive($0) }
            if error != 0 { refuse(error) }
            if session.wantsToWrite || !session.isAlive { wakeSender() }
        }
        // Whatever comes behind the end is dropped, so that what was sent last arrives.
        stream.inbound.consume(stream.inbound.count)
    }

    private func refuse(_ error: Int32) {
        switch error {
        case NGHTTP2_ERR_FLOODED.rawValue: abuse = .unreadAnswers
        case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue: abuse = .continuations
        default: break
        }
        if let abuse {
            server.countAbuse(abuse)
            terminate(NGHTTP2_ENHANCE_YOUR_CALM)
        } else {
            server.countParsingError()
            terminate(NGHTTP2_PROTOCOL_ERROR)
        }
    }

    // MARK: Sending

    private func send() async {
        let deadline = StreamDeadline(stream)
        defer { deadline.cancel() }
        var sends = 0
        while !hasEnded {
            fill()
            if output.isEmpty {
                if isEnding || !session.isAlive { return await finish() }
                if exchanges.isEmpty { output = [] }
                await withUnsafeContinuation { writer = $0 }
                continue
            }
            deadline.set(.milliseconds(configuration.sendTimeoutMs))
            do {
                try await stream.send(output)
            } catch {
                return stream.close(error)
            }
            deadline.lift()
            output.removeAll(keepingCapacity: true)
            sends += 1
            // A fast reader must not keep the loop from its other connections.
            if sends % 16 == 0 { await Task.yield() }
        }
    }

    /// Puts frames into the output until it is full or there are no more.
    private func fill() {
        while output.count < Self.batchBytes {
            let frames = session.nextOutput()
            if frames.isEmpty { break }
            output.append(contentsOf: frames)
        }
    }

    /// Says the end, and gives the peer a moment to close first: closing over unread bytes would make the kernel reset the
    /// connection, and take the last frames back.
    private func finish() async {
        isEnding = true
        idleDeadline = deadline(after: 1_000)
        await stream.finish()
    }

    func wakeSender() {
        writer?.resume()
        writer = nil
    }

    // MARK: Handlers

    /// Serves a request whose head is complete.
    func serve(_ exchange: HTTP2Exchange) {
        exchanges[exchange.id] = exchange
        handlerCount += 1
        idleDeadline = nil
        exchange.task = loop.spawn { [self] in
            if let refusal = exchange.refusal {
                server.countParsingError()
                try? await exchange.fail(ProblemDetails(refusal))
            } else {
                await server.answer(exchange)
            }
            handlerEnded(exchange)
        }
    }

    private func handlerEnded(_ exchange: HTTP2Exchange) {
        exchange.task = nil
        handlerCount -= 1
        exchange.incoming.discard()
        if exchanges[exchange.id] != nil {
            if exchange.state == .ended { stopUpload(of: exchange) } else { reset(exchange.id, NGHTTP2_INTERNAL_ERROR) }
        }
        if handlerCount == 0 {
            lastHandler?.resume()
            lastHandler = nil
        }
    }

    /// A body that nobody reads any more is not to be sent either, once the answer is out (RFC 9113 section 8.1).
    func stopUpload(of exchange: HTTP2Exchange) {
        guard exchange.incoming.isOpen, exchange.task == nil,
            nghttp2_session_get_stream_local_close(session.pointer, exchange.id) == 1
        else { return }
        reset(exchange.id, NGHTTP2_NO_ERROR)
    }

    /// What is to be done when the last stream has closed.
    func becameIdle() {
        if isDraining {
            isEnding = true
            wakeSender()
        } else if server.isDraining {
            drain()
        } else {
            idleDeadline = deadline(after: configuration.idleTimeoutMs)
        }
    }

    // MARK: Deadlines

    /// A deadline; the connection looks at it when it has come.
    func deadline(after milliseconds: Int) -> MonotonicInstant {
        let instant = loop.now + .milliseconds(milliseconds)
        arm(at: instant)
        return instant
    }

    private func arm(at instant: MonotonicInstant) {
        if let timer {
            if timer.firesAt <= instant { return }
            loop.cancel(timer.id)
        }
        let id = loop.schedule(at: instant) { [weak self] in self?.checkDeadlines() }
        timer = (id, instant)
    }

    private func checkDeadlines() {
        timer = nil
        guard !hasEnded else { return }
        let now = loop.now
        var next: [MonotonicInstant] = []
        if let due = headDeadline {
            if due <= now { terminate(NGHTTP2_ENHANCE_YOUR_CALM) } else { next.append(due) }
        }
        if let due = idleDeadline {
            if due > now {
                next.append(due)
            } else if isEnding {
                return stream.close()
            } else {
                terminate(NGHTTP2_NO_ERROR)
            }
        }
        for exchange in Array(exchanges.values) {
            if let due = exchange.checkDeadlines(now: now) { next.append(due) }
        }
        if let first = next.min() { arm(at: first) }
    }
}
