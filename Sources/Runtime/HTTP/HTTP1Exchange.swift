import Base
import HTTPCodec
import Runtime
import WebSocketCodec

/// An exchange that has its connection for itself until the answer has ended.
///
/// `@unchecked Sendable`: as `HTTPExchange`.
final class HTTP1Exchange: HTTPExchange, @unchecked Sendable {
    private enum ResponseFraming: Equatable {
        case counted(remaining: Int)
        case chunked
        case untilClose
        /// HEAD, 204 and 304: what is written is dropped.
        case none
    }

    private let connection: HTTPServerConnection
    private let head: HTTPRequestHead
    private var framing = ResponseFraming.none
    /// A head that goes out with the first piece of the body.
    private var heldHead: [UInt8] = []
    /// Whether the connection closes behind this exchange.
    private(set) var closesConnection: Bool
    private var awaitsContinue: Bool
    private var sendsInTurn = 0

    private var stream: ByteStream { connection.stream }

    init(_ head: HTTPRequestHead, on connection: HTTPServerConnection) {
        self.head = head
        self.connection = connection
        closesConnection = !head.keepsAlive || connection.isAtLastRequest
        awaitsContinue = head.expectsContinue
        let body = HTTP1Body(
            head.body, of: connection.stream, deadline: connection.readDeadline,
            limits: connection.configuration.bodyLimits, side: .peer)
        super.init(head.request, body: body, on: connection.stream)
        if awaitsContinue { body.beforeFirstWait = { [weak self] in try await self?.sendContinue() } }
    }

    // MARK: Answers

    override func respond(_ response: HTTPResponse, body bytes: [UInt8] = []) async throws {
        precondition(state == .notBegun, "an exchange has one answer")
        var response = response
        if !Self.hasNoBody(response.status), !response.fields.contains("Content-Length") {
            response.fields.append(name: "Content-Length", value: "\(bytes.count)")
        }
        var output = begin(response)
        state = .ended
        if request.method == "HEAD" || Self.hasNoBody(response.status) || bytes.isEmpty {
            try await transmit(output)
        } else if bytes.count <= 16 * 1024 {
            output += bytes
            try await transmit(output)
        } else {
            try await transmit(output, bytes)
        }
    }

    override func start(_ response: HTTPResponse) async throws {
        precondition(state == .notBegun, "an exchange has one answer")
        var response = response
        if Self.hasNoBody(response.status) {
            framing = .none
        } else if let length = response.fields["Content-Length"].flatMap({ Int($0) }) {
            framing = request.method == "HEAD" ? .none : .counted(remaining: length)
        } else if head.isHTTP10 {
            framing = request.method == "HEAD" ? .none : .untilClose
            closesConnection = true
        } else {
            response.fields.append(name: "Transfer-Encoding", value: "chunked")
            framing = request.method == "HEAD" ? .none : .chunked
        }
        heldHead = begin(response)
        state = .streaming
        switch framing {
        case .chunked, .untilClose: try await flushHead()
        case .counted, .none: break
        }
    }

    override func write(_ bytes: [UInt8]) async throws {
        precondition(state == .streaming, "start comes before write")
        if bytes.isEmpty { return }
        switch framing {
        case .none: return
        case .untilClose: try await transmit(bytes)
        case .counted(let remaining):
            take(bytes.count, of: remaining)
            try await transmitWithHead(bytes)
        case .chunked:
            var chunk: [UInt8] = []
            chunk.reserveCapacity(bytes.count + 20)
            HTTPSerializer.appendChunkHead(count: bytes.count, to: &chunk)
            chunk += bytes
            chunk += HTTPSerializer.chunkEnd
            try await transmit(chunk)
        }
    }

    override func writeFile(_ file: Int32, offset: Int64, count: Int) async throws {
        precondition(state == .streaming, "start comes before writeFile")
        switch framing {
        case .none: return
        case .chunked, .untilClose: preconditionFailure("files go into answers with Content-Length")
        case .counted(let remaining): take(count, of: remaining)
        }
        try await flushHead()
        var sent = 0
        while sent < count {
            let piece = min(count - sent, Self.maxPieceBytes)
            try await guarded { try await stream.sendFile(file, offset: offset + Int64(sent), count: piece) }
            sent += piece
        }
    }

    override func end() async throws {
        precondition(state == .streaming, "start comes before end")
        try await flushHead()
        switch framing {
        case .chunked: try await transmit(HTTPSerializer.lastChunk)
        case .counted(let remaining) where remaining > 0: return abandon()
        case .counted, .untilClose, .none: break
        }
        state = .ended
    }

    override func sendInterim(_ response: HTTPResponse) async throws {
        precondition(state == .notBegun && response.isInformational)
        guard !head.isHTTP10 else { return }
        var output: [UInt8] = []
        HTTPSerializer.append(response, to: &output)
        try await transmit(output)
    }

    // MARK: WebSocket

    override var isWebSocketRequest: Bool {
        request.fields.list("Upgrade", contains: "websocket") && request.fields.list("Connection", contains: "upgrade")
    }

    override func upgradeToWebSocket(
        subprotocol: String?, maxMessageBytes: Int, fields: HTTPFields = [:], _ handler: @escaping WebSocketHandler
    ) async throws {
        precondition(state == .notBegun, "an exchange has one answer")
        precondition(subprotocol.map(offeredSubprotocols.contains) ?? true, "the client has not offered it")
        guard request.method == "GET", isWebSocketRequest, !head.isHTTP10 else {
            throw ProblemDetails(
                status: 426, detail: "This is a WebSocket endpoint: open it with a WebSocket handshake.",
                fields: ["Upgrade": "websocket", "Connection": "Upgrade"])
        }
        guard request.fields["Sec-WebSocket-Version"] == WebSocketHandshake.version else {
            throw ProblemDetails(
                status: 426, detail: "Version 13 of the WebSocket protocol is required.",
                fields: [
                    "Sec-WebSocket-Version": WebSocketHandshake.version, "Upgrade": "websocket",
                    "Connection": "Upgrade",
                ])
        }
        guard let key = request.fields["Sec-WebSocket-Key"], WebSocketHandshake.isKey(key), body.hasEnded else {
            throw ProblemDetails(
                status: 400, detail: "The handshake needs a Sec-WebSocket-Key of 16 bytes in base64 and has no body.")
        }
        var response = HTTPResponse(status: 101, fields: fields)
        response.fields.append(name: "Upgrade", value: "websocket")
        response.fields.append(name: "Connection", value: "Upgrade")
        response.fields.append(name: "Sec-WebSocket-Accept", value: WebSocketHandshake.accept(for: key))
        if let subprotocol { response.fields.append(name: "Sec-WebSocket-Protocol", value: subprotocol) }
        var output: [UInt8] = []
        HTTPSerializer.append(response, to: &output)
        status = 101
        state = .upgraded
        closesConnection = true
        // Without a wait, and so without what waiting keeps, as long as the connection lasts.
        let sent = try? stream.trySend(output)
        if sent != output.count { try await transmit(Array(output.dropFirst(sent ?? 0))) }
        let webSocket = WebSocket(
            over: stream, role: .server, subprotocol: subprotocol, maxMessageBytes: maxMessageBytes,
            configuration: connection.configuration.webSocket)
        connection.upgrade = (webSocket, handler)
    }

    // MARK: Sending

    /// 256 KiB pass within one send timeout.
    private static let maxPieceBytes = 256 * 1024

    private func take(_ count: Int, of remaining: Int) {
        precondition(count <= remaining, "the body is longer than its Content-Length")
        framing = .counted(remaining: remaining - count)
    }

    /// Writes the head, with what the connection has to say.
    private func begin(_ response: HTTPResponse) -> [UInt8] {
        var response = response
        status = response.status
        // A body that the client still holds back, or that is too long to be read for nothing, is better cut off.
        if awaitsContinue && !body.hasEnded || body.hasFailed { closesConnection = true }
        if let remaining = body.remaining,
            remaining - stream.inbound.count > connection.configuration.maxDrainedBodyBytes
        {
            closesConnection = true
        }
        if connection.server.isDraining { closesConnection = true }
        if closesConnection {
            response.fields.append(name: "Connection", value: "close")
        } else if head.isHTTP10 {
            response.fields.append(name: "Connection", value: "keep-alive")
        }
        if !response.fields.contains("Date") {
            response.fields.append(name: "Date", value: connection.server.date())
        }
        var output: [UInt8] = []
        output.reserveCapacity(512)
        HTTPSerializer.append(response, to: &output)
        return output
    }

    private func sendContinue() async throws {
        guard awaitsContinue, state == .notBegun else { return }
        awaitsContinue = false
        try await transmit(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }

    private func flushHead() async throws {
        if heldHead.isEmpty { return }
        let output = heldHead
        heldHead = []
        try await transmit(output)
    }

    private func transmitWithHead(_ bytes: [UInt8]) async throws {
        if heldHead.isEmpty { return try await transmit(bytes) }
        let output = heldHead
        heldHead = []
        try await transmit(output, bytes)
    }

    private func transmit(_ first: [UInt8], _ second: [UInt8]) async throws {
        guard second.count <= Self.maxPieceBytes else {
            try await transmit(first)
            return try await transmit(second)
        }
        try await guarded { try await stream.send(pieces: [first, second]) }
    }

    private func transmit(_ bytes: [UInt8]) async throws {
        if bytes.count <= Self.maxPieceBytes { return try await guarded { try await stream.send(bytes) } }
        var offset = 0
        while offset < bytes.count {
            let piece = Array(bytes[offset..<min(offset + Self.maxPieceBytes, bytes.count)])
            try await guarded { try await stream.send(piece) }
            offset += piece.count
        }
    }

    private func guarded(_ send: () async throws -> Void) async throws {
        connection.sendDeadline.set(.milliseconds(connection.configuration.sendTimeoutMs))
        defer { connection.sendDeadline.lift() }
        do {
            try await send()
            sendsInTurn += 1
            if sendsInTurn >= 16 {
                // A fast reader must not keep the loop from its other connections.
                sendsInTurn = 0
                await Task.yield()
            }
        } catch let error as StreamError {
            closesConnection = true
            throw EdgeError(error, side: .peer, while: "answering")
        }
    }

    override func abandon() {
        closesConnection = true
        state = .ended
        stream.close()
    }
}
