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
    /// A peer of HTTP/1.0 understands neither chunks nor interim answers.
    private let isHTTP10: Bool
    private var framing = ResponseFraming.none
    /// A head that goes out with the first piece of the body.
    private var heldHead: [UInt8] = []
    /// Whether the connection closes behind this exchange.
    private(set) var closesConnection: Bool
    private var awaitsContinue: Bool

    private var stream: ByteStream { connection.stream }

    init(_ head: HTTPRequestHead, on connection: HTTPServerConnection) {
        self.connection = connection
        isHTTP10 = head.isHTTP10
        closesConnection = !head.keepsAlive || connection.isAtLastRequest
        awaitsContinue = head.expectsContinue
        if head.body == .length(0) {
            super.init(head.request, body: connection.shared.noBody, on: connection.stream)
            return
        }
        let body = HTTP1Body(
            head.body, of: connection.stream, deadline: connection.readDeadline,
            limits: connection.configuration.bodyLimits, side: .peer)
        super.init(head.request, body: body, on: connection.stream)
        if awaitsContinue { body.beforeFirstWait = { [weak self] in try await self?.sendContinue() } }
    }

    /// Whether the answer has ended, all of the request was read, and another request may follow.
    var isComplete: Bool { state == .ended && !closesConnection && body.hasEnded }

    // MARK: Answers

    override func respond(_ response: HTTPResponse, body bytes: [UInt8] = []) async throws {
        precondition(state == .notBegun, "an exchange has one answer")
        let hasNoBody = Self.hasNoBody(response.status)
        let sendsBody = !hasNoBody && request.method != "HEAD"
        let shared = connection.shared
        begin(response, length: hasNoBody ? nil : bytes.count, in: &shared.head)
        state = .ended
        let sent = try trySend(shared.head, sendsBody ? bytes : [])
        let total = shared.head.count + (sendsBody ? bytes.count : 0)
        if sent == total, !stream.hasUnsentBytes { return }
        // The loop's other connections write their heads while this one waits.
        let rest = sent < shared.head.count ? Array(shared.head[sent...]) : []
        try await sendRest(rest, sendsBody ? bytes : [], from: max(0, sent - shared.head.count))
    }

    override func start(_ response: HTTPResponse) async throws {
        precondition(state == .notBegun, "an exchange has one answer")
        let isHead = request.method == "HEAD"
        var isChunked = false
        if Self.hasNoBody(response.status) {
            framing = .none
        } else if let length = response.fields["Content-Length"].flatMap({ Int($0) }) {
            framing = isHead ? .none : .counted(remaining: length)
        } else if isHTTP10 {
            framing = isHead ? .none : .untilClose
            closesConnection = true
        } else {
            framing = isHead ? .none : .chunked
            isChunked = true
        }
        begin(response, length: nil, isChunked: isChunked, in: &heldHead)
        state = .streaming
        switch framing {
        case .chunked, .untilClose: try await transmit([])
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
            try await transmit(bytes)
        case .chunked:
            var chunk: [UInt8] = []
            chunk.reserveCapacity(bytes.count + 20)
            HTTPSerializer.appendChunkHead(count: bytes.count, to: &chunk)
            chunk += bytes
            chunk += HTTPSerializer.chunkEnd
            try await transmit(chunk)
        }
    }

    /// Up to here a file's first bytes share the head's packet. Of a longer one every page would be cut in two for it, which
    /// costs the kernel more than the packet.
    private static let sharedPacketBytes = 32 * 1024

    override func writeFile(_ file: Int32, offset: Int64, count: Int) async throws {
        precondition(state == .streaming, "start comes before writeFile")
        switch framing {
        case .none: return
        case .chunked, .untilClose: preconditionFailure("files go into answers with Content-Length")
        case .counted(let remaining): take(count, of: remaining)
        }
        if count == 0 { return }
        try await transmit([], isMoreToCome: count <= Self.sharedPacketBytes)
        connection.beginSendDeadline()
        defer { connection.sendDeadline.lift() }
        var progress = 0
        do {
            try await stream.sendFile(file, offset: offset, count: count) { sent in
                progress += sent
                if progress < Self.piecePerDeadline { return }
                progress = 0
                connection.beginSendDeadline()
            }
        } catch {
            throw lost(error)
        }
    }

    override func end() async throws {
        precondition(state == .streaming, "end comes behind start")
        switch framing {
        case .chunked: try await transmit(HTTPSerializer.lastChunk)
        case .counted(let remaining) where remaining > 0:
            try await transmit([])
            return abandon()
        case .counted, .untilClose, .none: try await transmit([])
        }
        state = .ended
    }

    override func sendInterim(_ response: HTTPResponse) async throws {
        precondition(state == .notBegun && response.isInformational)
        guard !isHTTP10 else { return }
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
        guard request.method == "GET", isWebSocketRequest, !isHTTP10 else {
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

    /// Must pass within one send timeout.
    private static let piecePerDeadline = 256 * 1024

    private func take(_ count: Int, of remaining: Int) {
        precondition(count <= remaining, "the body is longer than its Content-Length")
        framing = .counted(remaining: remaining - count)
    }

    /// Writes the head, with what the connection has to say.
    private func begin(_ response: HTTPResponse, length: Int?, isChunked: Bool = false, in output: inout [UInt8]) {
        status = response.status
        // A body that the client still holds back, or that is too long to be read for nothing, is better cut off.
        if awaitsContinue && !body.hasEnded || body.hasFailed { closesConnection = true }
        if let remaining = body.remaining,
            remaining - stream.inbound.count > connection.configuration.maxDrainedBodyBytes
        {
            closesConnection = true
        }
        if connection.server.isDraining { closesConnection = true }
        output.removeAll(keepingCapacity: true)
        HTTPSerializer.appendStatusLine(response.status, to: &output)
        HTTPSerializer.appendFields(response.fields, to: &output)
        if let length, !response.fields.contains("Content-Length") {
            HTTPSerializer.appendField("Content-Length", length, to: &output)
        }
        if isChunked { HTTPSerializer.appendField("Transfer-Encoding", "chunked", to: &output) }
        if closesConnection {
            HTTPSerializer.appendField("Connection", "close", to: &output)
        } else if isHTTP10 {
            HTTPSerializer.appendField("Connection", "keep-alive", to: &output)
        }
        if !response.fields.contains("Date") {
            HTTPSerializer.appendField("Date", connection.shared.date(), to: &output)
        }
        HTTPSerializer.appendHeadEnd(to: &output)
    }

    private func sendContinue() async throws {
        guard awaitsContinue, state == .notBegun else { return }
        awaitsContinue = false
        try await transmit(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }

    /// Sends bytes, behind the head if it is still here; returns when the kernel has taken them.
    private func transmit(_ bytes: [UInt8], isMoreToCome: Bool = false) async throws {
        if heldHead.isEmpty && bytes.isEmpty { return }
        let head = heldHead
        heldHead = []
        let sent = try trySend(head, bytes, isMoreToCome: isMoreToCome)
        if sent == head.count + bytes.count, !stream.hasUnsentBytes { return await takeTurns() }
        try await sendRest(
            sent < head.count ? Array(head[sent...]) : [], bytes, from: max(0, sent - head.count))
    }

    /// What the kernel had no room for at once.
    private func sendRest(_ first: [UInt8], _ second: [UInt8], from offset: Int) async throws {
        connection.beginSendDeadline()
        defer { connection.sendDeadline.lift() }
        var deadlineOffset = offset
        var offset = offset
        do {
            if !first.isEmpty { try await stream.send(first) }
            while offset < second.count || stream.hasUnsentBytes {
                try await stream.waitUntilSendable()
                offset += try stream.trySend(second, from: offset)
                if offset - deadlineOffset >= Self.piecePerDeadline {
                    deadlineOffset = offset
                    connection.beginSendDeadline()
                }
            }
        } catch {
            throw lost(error)
        }
    }

    /// A fast reader must not keep the loop from its other connections.
    private func takeTurns() async {
        if connection.isTurnOver { await Task.yield() }
    }

    private func trySend(_ first: [UInt8], _ second: [UInt8], isMoreToCome: Bool = false) throws -> Int {
        do {
            return try stream.trySend(first, second, isMoreToCome: isMoreToCome)
        } catch {
            throw lost(error)
        }
    }

    private func lost(_ error: StreamError) -> EdgeError {
        closesConnection = true
        return EdgeError(error, side: .peer, while: "answering")
    }

    override func abandon() {
        closesConnection = true
        state = .ended
        stream.close()
    }
}
