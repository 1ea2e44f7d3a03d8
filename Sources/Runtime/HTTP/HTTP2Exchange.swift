import Base
import CNGHTTP2
import Glibc
import HTTPCodec
import Runtime

/// An exchange on one stream of an HTTP/2 connection. The handler waits until its bytes have gone into frames, which the peer's
/// windows and the socket allow; nothing is copied before.
///
/// `@unchecked Sendable`: as `HTTPExchange`.
final class HTTP2Exchange: HTTPExchange, @unchecked Sendable {
    private enum Source {
        case bytes([UInt8])
        case file(Int32)
    }

    let id: Int32
    private let connection: HTTP2Connection
    let incoming: HTTP2Body
    /// The handler's.
    var task: Task<Void, Never>?
    /// Why the request is not served.
    let refusal: HTTPParsingError?
    /// Why nothing can be sent any more.
    private var failure: EdgeError?

    private var source = Source.bytes([])
    private var sourceOffset = 0
    /// Bytes of the source that are in no frame yet.
    private var sourceCount = 0
    /// Bytes of the body that are still to be written; nil when their number was not declared.
    private var remaining: Int?
    /// HEAD, 204 and 304: what is written is dropped.
    private var hasNoContent = false
    /// Whether the last byte of the source is the last of the answer.
    private var endsWithSource = false
    private var writer: UnsafeContinuation<Void, Never>?
    private var progress = 0
    /// When what waits to be sent becomes too late.
    private(set) var deadline: MonotonicInstant?

    /// A deadline holds for so many bytes, as over HTTP/1.1.
    private static let bytesPerDeadline = 256 * 1024

    init(
        _ id: Int32, _ request: HTTPRequest, refusal: HTTPParsingError?, body: HTTP2Body, on connection: HTTP2Connection
    ) {
        self.id = id
        self.refusal = refusal
        self.connection = connection
        incoming = body
        super.init(request, body: body, on: connection.stream)
    }

    // MARK: Answers

    override func respond(_ response: HTTPResponse, body bytes: [UInt8] = []) async throws {
        precondition(state == .notBegun, "an exchange has one answer")
        try throwIfBroken()
        state = .ended
        let hasContent = !bytes.isEmpty && !isWithoutContent(response.status)
        let declares = !Self.hasNoBody(response.status) && !response.fields.contains("Content-Length")
        if hasContent { offer(.bytes(bytes), at: 0, count: bytes.count, isLast: true) }
        begin(response, contentLength: declares ? bytes.count : nil, hasContent: hasContent)
        if hasContent { try await untilTaken() }
    }

    override func start(_ response: HTTPResponse) async throws {
        precondition(state == .notBegun, "an exchange has one answer")
        try throwIfBroken()
        state = .streaming
        hasNoContent = isWithoutContent(response.status)
        remaining = response.fields["Content-Length"].flatMap { Int($0) }
        let isEmpty = hasNoContent || remaining == 0
        begin(response, contentLength: nil, hasContent: !isEmpty)
    }

    override func write(_ bytes: [UInt8]) async throws {
        precondition(state == .streaming, "start comes before write")
        if hasNoContent || bytes.isEmpty { return }
        try throwIfBroken()
        count(bytes.count)
        offer(.bytes(bytes), at: 0, count: bytes.count, isLast: remaining == 0)
        connection.resume(id)
        try await untilTaken()
    }

    override func writeFile(_ file: Int32, offset: Int64, count: Int) async throws {
        precondition(state == .streaming, "start comes before writeFile")
        if hasNoContent || count == 0 { return }
        precondition(remaining != nil, "files go into answers with Content-Length")
        var offset = Int(offset)
        var left = count
        while left > 0 {
            try throwIfBroken()
            let piece = min(left, Self.bytesPerDeadline)
            try await connection.load(file, offset: offset, count: piece)
            try throwIfBroken()
            self.count(piece)
            offer(.file(file), at: offset, count: piece, isLast: remaining == 0)
            connection.resume(id)
            try await untilTaken()
            offset += piece
            left -= piece
        }
    }

    override func end() async throws {
        precondition(state == .streaming, "start comes before end")
        if let remaining, remaining > 0, !hasNoContent { return abandon() }
        state = .ended
        try throwIfBroken()
        if remaining == nil, !hasNoContent {
            endsWithSource = true
            // Nobody waits for the end to go out, but a peer that gives no credit must not hold the stream for ever.
            deadline = connection.deadline(after: connection.configuration.sendTimeoutMs)
            connection.resume(id)
        }
    }

    override func sendInterim(_ response: HTTPResponse) async throws {
        precondition(state == .notBegun && response.isInformational)
        try throwIfBroken()
        connection.submitInterim(response, for: id)
    }

    override func abandon() {
        state = .ended
        connection.reset(id, NGHTTP2_INTERNAL_ERROR)
    }

    override func upgradeToWebSocket(
        subprotocol: String?, maxMessageBytes: Int, fields: HTTPFields = [:], _ handler: @escaping WebSocketHandler
    ) async throws {
        throw ProblemDetails(
            status: 426, detail: "This is a WebSocket endpoint: open it with a WebSocket handshake over HTTP/1.1.")
    }

    private func isWithoutContent(_ status: Int) -> Bool { request.method == "HEAD" || Self.hasNoBody(status) }

    private func count(_ bytes: Int) {
        guard let left = remaining else { return }
        precondition(bytes <= left, "the body is longer than its Content-Length")
        remaining = left - bytes
    }

    private func begin(_ response: HTTPResponse, contentLength: Int?, hasContent: Bool) {
        status = response.status
        incoming.awaitsContinue = false
        connection.submit(response, contentLength: contentLength, for: self, hasContent: hasContent)
    }

    private func throwIfBroken() throws {
        if let failure { throw failure }
    }

    // MARK: What goes into frames

    private func offer(_ source: Source, at offset: Int, count: Int, isLast: Bool) {
        self.source = source
        sourceOffset = offset
        sourceCount = count
        endsWithSource = isLast
        progress = 0
    }

    /// What the next DATA frame may hold; nil while there is nothing.
    func offer(upTo limit: Int) -> (count: Int, isLast: Bool)? {
        let count = min(limit, sourceCount)
        if failure != nil { return nil }
        if count == 0 {
            guard endsWithSource else { return nil }
            deadline = nil
        }
        return (count, endsWithSource && count == sourceCount)
    }

    /// Puts bytes that were offered behind the output.
    ///
    /// - Returns: false if they cannot be had any more.
    func take(_ count: Int, into output: inout [UInt8]) -> Bool {
        guard failure == nil else { return false }
        precondition(count <= sourceCount)
        switch source {
        case .bytes(let bytes): output.append(contentsOf: bytes[sourceOffset..<sourceOffset + count])
        case .file(let file):
            let start = output.count
            output.append(contentsOf: repeatElement(0, count: count))
            let got = output.withUnsafeMutableBytes {
                pread(file, $0.baseAddress.map { $0 + start }, count, sourceOffset)
            }
            guard got == count else {
                output.removeLast(count)
                return false
            }
        }
        sourceOffset += count
        sourceCount -= count
        progress += count
        if sourceCount == 0 {
            source = .bytes([])
            wake()
        } else if progress >= Self.bytesPerDeadline, deadline != nil {
            progress = 0
            deadline = connection.deadline(after: connection.configuration.sendTimeoutMs)
        }
        return true
    }

    private func untilTaken() async throws {
        deadline = connection.deadline(after: connection.configuration.sendTimeoutMs)
        if sourceCount > 0, failure == nil { await withUnsafeContinuation { writer = $0 } }
        deadline = nil
        try throwIfBroken()
    }

    private func wake() {
        writer?.resume()
        writer = nil
    }

    // MARK: What the connection tells

    /// The peer has the whole answer, or nothing more can come and go.
    func close(_ error: EdgeError?) {
        incoming.fail(error ?? EdgeError(.closed, "the body was cut short", side: .peer, isRetryable: true))
        guard sourceCount > 0 || state != .ended || error != nil else { return }
        fail(error ?? EdgeError(.closed, "the stream was closed while answering", side: .peer, isRetryable: true))
        task?.cancel()
    }

    /// Looks at the time.
    ///
    /// - Returns: the next deadline.
    func checkDeadlines(now: MonotonicInstant) -> MonotonicInstant? {
        if let due = incoming.deadline, due <= now {
            incoming.fail(
                EdgeError(.timeout, "the other side was too slow while reading a body", side: .peer, isRetryable: true))
        }
        if let due = deadline, due <= now {
            fail(EdgeError(.timeout, "the other side was too slow while answering", side: .peer, isRetryable: true))
            connection.reset(id, NGHTTP2_CANCEL)
        }
        return [incoming.deadline, deadline].compactMap { $0 }.filter { $0 > now }.min()
    }

    private func fail(_ error: EdgeError) {
        if failure == nil { failure = error }
        // Nothing of the source is touched once the handler goes on.
        sourceCount = 0
        source = .bytes([])
        wake()
    }
}
