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
    let stream: ByteStream
    let readDeadline: StreamDeadline
    let sendDeadline: StreamDeadline
    /// What the last request has made of the connection.
    var upgrade: (webSocket: WebSocket, handler: HTTPExchange.WebSocketHandler)?
    /// Between two requests, with nothing of the next one there.
    private var isIdle = false
    private var requests = 0

    /// Whether the connection has had as many requests as it may.
    var isAtLastRequest: Bool { requests >= configuration.maxRequestsPerConnection }

    var configuration: HTTPServer.Configuration { server.configuration }

    init(_ server: HTTPServer, _ stream: ByteStream) {
        self.server = server
        self.stream = stream
        readDeadline = StreamDeadline(stream)
        sendDeadline = StreamDeadline(stream)
    }

    /// Serves until the connection ends. The stream is closed then.
    func run() async {
        beginCancellation()
        defer { endCancellation() }
        do {
            while let head = try await nextHead() {
                requests += 1
                guard await answer(head) else { break }
            }
        } catch let error as HTTPParsingError {
            await refuse(error)
        } catch {
            // The peer is gone or was too slow; there is nobody to tell.
        }
        if let (webSocket, handler) = upgrade {
            upgrade = nil
            // A WebSocket learns of it by itself, and its handler may have to tell others.
            stream.onHangUp = nil
            readDeadline.cancel()
            sendDeadline.cancel()
            await serve(webSocket, handler)
        }
        await lingeringClose()
        readDeadline.cancel()
        sendDeadline.cancel()
    }

    /// Ends the connection, and whatever its handler waits for.
    func cancel() {
        task?.cancel()
        stream.close()
    }

    /// A handler is not to work on for a client that is gone.
    private func beginCancellation() {
        // Used until `run` returns, and so while the task lives.
        withUnsafeCurrentTask { task = $0 }
        stream.onHangUp = { [weak self] in self?.task?.cancel() }
    }

    private func endCancellation() {
        stream.onHangUp = nil
        task = nil
    }

    /// Ends a connection that waits for a request; one that is at work ends behind its answer.
    func drain() {
        if isIdle { stream.close() }
    }

    /// - Returns: nil at the end of the connection.
    private func nextHead() async throws -> HTTPRequestHead? {
        var parser = HTTPRequestParser(limits: configuration.headLimits)
        defer {
            isIdle = false
            readDeadline.lift()
        }
        var waitsForHead = false
        while true {
            if !stream.inbound.isEmpty {
                let parsed = try stream.inbound.withBytes { bytes throws(HTTPParsingError) in try parser.parse(bytes) }
                if let (head, count) = parsed {
                    stream.inbound.consume(count)
                    return head
                }
                if !waitsForHead { readDeadline.set(.milliseconds(configuration.headTimeoutMs)) }
                waitsForHead = true
            } else {
                if server.isDraining { return nil }
                readDeadline.set(.milliseconds(configuration.idleTimeoutMs))
            }
            isIdle = stream.inbound.isEmpty
            guard try await stream.receive() else { return nil }
        }
    }

    /// - Returns: whether another request can follow.
    private func answer(_ head: HTTPRequestHead) async -> Bool {
        let exchange = HTTP1Exchange(head, on: self)
        await server.answer(exchange)
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
        sendDeadline.set(.milliseconds(configuration.sendTimeoutMs))
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
