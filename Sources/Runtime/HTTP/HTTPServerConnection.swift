import Base
import HTTPCodec
import Runtime

/// One connection of a server: requests in their order, each answered before the next is looked at.
///
/// `@unchecked Sendable`: all state is used on the stream's loop; other threads reach it by `loop.execute`.
final class HTTPServerConnection: @unchecked Sendable {
    let server: HTTPServer
    /// The task that serves the connection, while it does.
    private var task: UnsafeCurrentTask?
    private var isCancelled = false
    let stream: ByteStream
    let shared: HTTPServerLoop
    let readDeadline: StreamDeadline
    /// What the last request has made of the connection.
    var upgrade: (webSocket: WebSocket, handler: HTTPExchange.WebSocketHandler)?
    /// Made when an answer has to wait, which few do.
    private(set) lazy var sendDeadline = StreamDeadline(stream)
    private var hasSendDeadline = false
    private var parser: HTTPRequestParser
    /// Some of a head is there.
    private var isInHead = false
    /// Between two requests, with nothing of the next one there.
    private var isIdle = false
    private var requests = 0
    private var sendsInTurn = 0

    /// Whether the connection has had as many requests as it may.
    var isAtLastRequest: Bool { requests >= configuration.maxRequestsPerConnection }

    var configuration: HTTPServer.Configuration { server.configuration }

    init(_ server: HTTPServer, _ stream: ByteStream, _ shared: HTTPServerLoop) {
        self.server = server
        self.stream = stream
        self.shared = shared
        readDeadline = StreamDeadline(stream)
        parser = HTTPRequestParser(limits: server.configuration.headLimits)
    }

    /// Serves requests until there are no more. The connection has ended then, or has become a WebSocket, which
    /// `serveWebSocket` goes on with.
    func run() async {
        beginCancellation()
        stream.onHangUp = { [weak self] in self?.task?.cancel() }
        await serveRequests()
        // A WebSocket learns of it by itself, and its handler may have to tell others.
        stream.onHangUp = nil
        task = nil
        if upgrade == nil { await lingeringClose() }
        endDeadlines()
    }

    /// Serves the WebSocket that the connection has become, to its end.
    func serveWebSocket() async {
        guard let (webSocket, handler) = upgrade else { return }
        upgrade = nil
        beginCancellation()
        // Between the two tasks nobody could be told.
        if isCancelled { task?.cancel() }
        await serve(webSocket, handler)
        task = nil
        await lingeringClose()
        endDeadlines()
    }

    private func serveRequests() async {
        do {
            // Every idle connection waits here: what is kept over the wait is memory of each of them.
            while true {
                if let exchange = try nextExchange() {
                    await server.answer(exchange)
                    if exchange.isComplete {
                        // Pipelined requests need no wait, and would keep the loop from its other connections.
                        if !stream.inbound.isEmpty, isTurnOver { await Task.yield() }
                        if !stream.isClosed { continue }
                    }
                    guard await prepareForNext(exchange) else { break }
                } else {
                    guard isIdle || isInHead, try await stream.receive() else { break }
                }
            }
        } catch {
            // Otherwise the peer is gone or was too slow; there is nobody to tell.
            if let error = error as? HTTPParsingError { await refuse(error) }
        }
    }

    private func endDeadlines() {
        readDeadline.cancel()
        if hasSendDeadline { sendDeadline.cancel() }
    }

    func beginSendDeadline() {
        hasSendDeadline = true
        sendDeadline.set(.milliseconds(configuration.sendTimeoutMs))
    }

    /// Whether others should have the loop before the next send.
    var isTurnOver: Bool {
        sendsInTurn += 1
        if sendsInTurn < 16 { return false }
        sendsInTurn = 0
        return true
    }

    /// Ends the connection, and whatever its handler waits for.
    func cancel() {
        isCancelled = true
        task?.cancel()
        stream.close()
    }

    /// Lets `cancel` reach this task, until it says that it has ended.
    private func beginCancellation() {
        withUnsafeCurrentTask { task = $0 }
    }

    /// Ends a connection that waits for a request; one that is at work ends behind its answer.
    func drain() {
        if isIdle { stream.close() }
    }

    /// The next request, if all of its head is there; otherwise one of `isIdle` and `isInHead` says what is waited for, or
    /// neither, when nothing is.
    private func nextExchange() throws(HTTPParsingError) -> HTTP1Exchange? {
        isIdle = false
        if stream.inbound.isEmpty {
            if server.isDraining { return nil }
            isIdle = true
            readDeadline.set(.milliseconds(configuration.idleTimeoutMs))
            return nil
        }
        let parsed = try stream.inbound.withBytes { bytes throws(HTTPParsingError) in try parser.parse(bytes) }
        guard let (head, count) = parsed else {
            if !isInHead { readDeadline.set(.milliseconds(configuration.headTimeoutMs)) }
            isInHead = true
            return nil
        }
        stream.inbound.consume(count)
        parser = HTTPRequestParser(limits: configuration.headLimits)
        isInHead = false
        readDeadline.lift()
        requests += 1
        return HTTP1Exchange(head, on: self)
    }

    /// - Returns: whether another request can follow.
    private func prepareForNext(_ exchange: HTTP1Exchange) async -> Bool {
        guard exchange.state == .ended, !exchange.closesConnection, !stream.isClosed else { return false }
        return await exchange.body.drain(upTo: configuration.maxDrainedBodyBytes)
    }

    private func serve(_ webSocket: WebSocket, _ handler: HTTPExchange.WebSocketHandler) async {
        do {
            try await handler(webSocket)
        } catch {
            server.noteWebSocketFailure(error)
            return await webSocket.close(code: 1011, reason: "")
        }
        await webSocket.close(code: 1000, reason: "")
    }

    private func refuse(_ error: HTTPParsingError) async {
        server.countParsingError()
        var (response, body) = ProblemDetails(error).response()
        response.fields.append(name: "Content-Length", value: "\(body.count)")
        response.fields.append(name: "Connection", value: "close")
        response.fields.append(name: "Date", value: server.date())
        var output: [UInt8] = []
        HTTPSerializer.append(response, to: &output)
        beginSendDeadline()
        try? await stream.send(output + body)
        sendDeadline.lift()
    }

    /// Closes so that the last answer arrives: closing over unread bytes would make the kernel reset the connection, and
    /// take the answer back (RFC 9112 section 9.6).
    private func lingeringClose() async {
        if !stream.isClosed {
            readDeadline.set(.seconds(2))
            await stream.finish()
            var dropped = 0
            do {
                while dropped <= 128 * configuration.maxDrainedBodyBytes {
                    dropped += stream.inbound.count
                    stream.inbound.consume(stream.inbound.count)
                    guard try await stream.receive() else { break }
                }
            } catch {}
        }
        stream.close()
    }
}
