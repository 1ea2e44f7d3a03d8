import Base
import HTTPCodec
import Runtime

/// One connection of a client. Closes its stream when nobody holds it any more.
///
/// `@unchecked Sendable`: all state is used on the stream's loop, which the stream's own entries check.
final class HTTPClientConnection: @unchecked Sendable {
    let stream: ByteStream
    let origin: HTTPConnectionPool.Origin
    let established: MonotonicInstant
    /// Its place in the pool; a WebSocket has none.
    private let slot: HTTPConnectionPool.Slot?
    /// Counts who has used the connection, so that what ends late ends nothing of a later user.
    private var user = 0
    private let totalDeadline: StreamDeadline
    private let readDeadline: StreamDeadline
    private let sendDeadline: StreamDeadline
    private let configuration: HTTPClient.Configuration
    /// Set when the connection can serve no further request.
    private var isSpent = false
    private var isHandedOver = false
    private var sentInTurn = 0
    private var hasSentBody = false
    /// What the source of a request's body threw.
    private var bodyFailure: (any Error)?

    init(
        _ stream: ByteStream, to origin: HTTPConnectionPool.Origin, slot: HTTPConnectionPool.Slot?,
        configuration: HTTPClient.Configuration
    ) {
        self.stream = stream
        self.origin = origin
        self.slot = slot
        established = stream.loop.now
        totalDeadline = StreamDeadline(stream)
        self.configuration = configuration
        readDeadline = StreamDeadline(stream)
        sendDeadline = StreamDeadline(stream)
    }

    deinit {
        if !isHandedOver { stream.loop.execute { [stream] in stream.close() } }
    }

    /// Sends a request and waits for the head of its final answer.
    ///
    /// - Parameter release: called when the answer's body has been read and the connection can be used again.
    /// - Throws: `NoAnswer` when the connection ended before the first byte of an answer.
    func send(
        _ request: HTTPClientRequest, to url: HTTPURL, by deadline: MonotonicInstant?,
        release: @escaping (HTTPClientConnection) -> Void
    ) async throws -> HTTPClientResponse {
        readDeadline.lift()
        hasSentBody = false
        bodyFailure = nil
        if let deadline { totalDeadline.set(max(.zero, deadline - stream.loop.now)) }
        let timeout = Duration.milliseconds(request.responseTimeoutMs ?? configuration.responseTimeoutMs)
        var output: [UInt8] = []
        HTTPSerializer.append(head(of: request, to: url), to: &output)
        var upload: Task<Void, Never>?
        switch request.body {
        case .none: try await sendBeforeAnswer(output)
        case .bytes(let bytes): try await sendBeforeAnswer(output + bytes)
        case .stream(let length, let next):
            try await sendBeforeAnswer(output)
            upload = stream.loop.spawn { [self] in
                await sendBody(length: length, next)
                if !isSpent { readDeadline.set(timeout) }
            }
        }
        if upload == nil { readDeadline.set(timeout) }
        let answer: HTTPResponseHead
        do {
            answer = try await readHead(method: request.method)
            if answer.response.status == 101 {
                throw EdgeError(.corrupt, "the server switches protocols unasked", side: .upstream)
            }
        } catch {
            upload?.cancel()
            stream.close()
            await upload?.value
            if let bodyFailure { throw bodyFailure }
            throw error
        }
        readDeadline.lift()
        if let upload, !hasSentBody {
            // Answered early: the rest is not wanted, and where it stopped nobody knows.
            isSpent = true
            upload.cancel()
        }
        return response(answer, maxBytes: request.maxResponseBytes, release: release)
    }

    /// Runs the body; cancelling the task meanwhile closes the connection, unless it serves somebody else by then.
    func cancelling<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let user = user
        return try await withTaskCancellationHandler {
            do {
                return try await body()
            } catch {
                if Task.isCancelled { throw CancellationError() }
                throw error
            }
        } onCancel: {
            stream.loop.execute { [self] in
                if self.user == user { stream.close() }
            }
        }
    }

    /// Sends the handshake of a WebSocket and returns the head that answers it.
    func handshake(_ request: HTTPRequest) async throws -> HTTPResponseHead {
        var output: [UInt8] = []
        HTTPSerializer.append(request, to: &output)
        try await sendBeforeAnswer(output)
        readDeadline.set(.milliseconds(configuration.responseTimeoutMs))
        defer { readDeadline.lift() }
        return try await readHead(method: "GET")
    }

    /// A body of an answer that nothing follows.
    func lastBody(_ answer: HTTPResponseHead, maxBytes: Int? = nil) -> HTTP1Body {
        HTTP1Body(
            answer.body, of: stream, deadline: readDeadline, limits: configuration.bodyLimits(maxBytes: maxBytes),
            side: .upstream)
    }

    /// Ends the timers; the stream is somebody else's from here on.
    func handOver() {
        isHandedOver = true
        totalDeadline.cancel()
        readDeadline.cancel()
        sendDeadline.cancel()
    }

    /// Closes the connection if it still waits for its next request by then.
    func closeWhenIdle(for duration: Duration) {
        readDeadline.set(duration)
    }

    private func response(
        _ answer: HTTPResponseHead, maxBytes: Int?, release: @escaping (HTTPClientConnection) -> Void
    ) -> HTTPClientResponse {
        let body = lastBody(answer, maxBytes: maxBytes)
        let isReusable = answer.keepsAlive && !isSpent
        // Holds the connection until the body's end, or until the answer is dropped.
        let source = HTTPClientResponse.Source(body, on: self)
        let finish = { [self, weak source] in
            source?.connection = nil
            user += 1
            totalDeadline.lift()
            if isReusable, stream.inbound.isEmpty { release(self) } else { stream.close() }
        }
        if body.hasEnded { finish() } else { body.onEnd = finish }
        return HTTPClientResponse(answer.response, from: source, loop: stream.loop)
    }

    private func head(of request: HTTPClientRequest, to url: HTTPURL) -> HTTPRequest {
        var head = HTTPRequest(method: request.method, target: url.target, fields: ["Host": url.authority])
        head.fields.append(contentsOf: request.fields)
        switch request.body {
        case .none:
            if ["POST", "PUT", "PATCH"].contains(request.method) {
                head.fields.append(name: "Content-Length", value: "0")
            }
        case .bytes(let bytes): head.fields.append(name: "Content-Length", value: "\(bytes.count)")
        case .stream(let length?, _): head.fields.append(name: "Content-Length", value: "\(length)")
        case .stream(nil, _): head.fields.append(name: "Transfer-Encoding", value: "chunked")
        }
        return head
    }

    private func sendBeforeAnswer(_ bytes: [UInt8]) async throws {
        do {
            try await guardedSend(bytes)
        } catch {
            throw error == .timedOut
                ? EdgeError(error, side: .upstream, while: "sending a request") : NoAnswer(cause: error)
        }
    }

    private func guardedSend(_ bytes: [UInt8]) async throws(StreamError) {
        var offset = 0
        while offset < bytes.count {
            let end = min(offset + 256 * 1024, bytes.count)
            sendDeadline.set(.milliseconds(configuration.sendTimeoutMs))
            defer { sendDeadline.lift() }
            try await stream.send(end - offset == bytes.count ? bytes : Array(bytes[offset..<end]))
            sentInTurn += end - offset
            offset = end
            if sentInTurn >= 256 * 1024 {
                // The reader gets its turn even if the kernel takes everything: the answer may be there already.
                sentInTurn = 0
                await Task.yield()
            }
        }
    }

    private func sendBody(length: Int?, _ next: @Sendable () async throws -> [UInt8]?) async {
        do {
            var sent = 0
            while !Task.isCancelled, let piece = try await next() {
                if piece.isEmpty { continue }
                sent += piece.count
                if let length {
                    guard sent <= length else {
                        throw EdgeError(.io, "a body is longer than declared", side: .internal)
                    }
                    try await guardedSend(piece)
                } else {
                    var chunk: [UInt8] = []
                    chunk.reserveCapacity(piece.count + 20)
                    HTTPSerializer.appendChunkHead(count: piece.count, to: &chunk)
                    try await guardedSend(chunk + piece + HTTPSerializer.chunkEnd)
                }
            }
            if Task.isCancelled { return }
            if let length, sent < length { throw EdgeError(.io, "a body is shorter than declared", side: .internal) }
            if length == nil { try await guardedSend(HTTPSerializer.lastChunk) }
            hasSentBody = true
        } catch is StreamError {
            // The answer, if there is one, tells more; else reading it fails too.
            isSpent = true
        } catch {
            isSpent = true
            bodyFailure = error
            stream.close()
        }
    }

    private static let maxInterimAnswers = 32

    private func readHead(method: String) async throws -> HTTPResponseHead {
        let limits = HTTPHeadLimits(maxBytes: configuration.maxHeadBytes, maxFields: configuration.maxHeadFields)
        var hasAnswerBegun = false
        for _ in 0..<Self.maxInterimAnswers {
            var parser = HTTPResponseParser(requestMethod: method, limits: limits)
            var head: HTTPResponseHead?
            while head == nil {
                if !stream.inbound.isEmpty {
                    hasAnswerBegun = true
                    let parsed: (head: HTTPResponseHead, byteCount: Int)?
                    do {
                        parsed = try stream.inbound.withBytes { bytes throws(HTTPParsingError) in
                            try parser.parse(bytes)
                        }
                    } catch {
                        throw EdgeError(.corrupt, "the answer is not valid HTTP/1.1", side: .upstream, cause: error)
                    }
                    if let parsed {
                        stream.inbound.consume(parsed.byteCount)
                        head = parsed.head
                        break
                    }
                }
                do {
                    guard try await stream.receive() else {
                        if !hasAnswerBegun { throw NoAnswer(cause: nil) }
                        throw EdgeError(.closed, "the answer was cut short", side: .upstream, isRetryable: true)
                    }
                } catch let error as StreamError {
                    if !hasAnswerBegun, error != .timedOut { throw NoAnswer(cause: error) }
                    throw EdgeError(error, side: .upstream, while: "waiting for an answer")
                }
            }
            if let head, !head.response.isInformational { return head }
        }
        throw EdgeError(.corrupt, "there is no end to the interim answers", side: .upstream)
    }
}

/// The connection ended before an answer began; on one that had been idle that is no news.
struct NoAnswer: Error {
    let cause: (any Error)?
}
