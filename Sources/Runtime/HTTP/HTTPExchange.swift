package import Base
package import HTTPCodec
package import Runtime

/// One request and its answer. Belongs to the task that its handler runs in, on the connection's loop.
///
/// There are two kinds, `HTTP1Exchange` and `HTTP2Exchange`; what a handler sees of them is the same. The methods that send are
/// theirs.
///
/// `@unchecked Sendable`: all state is used on `loop`'s thread, which the stream's entries check.
package class HTTPExchange: @unchecked Sendable {
    enum ResponseState: Equatable {
        case notBegun
        /// The head has gone out, or waits for the first piece of the body.
        case streaming
        case ended
        /// The connection is no longer HTTP's.
        case upgraded
    }

    package let request: HTTPRequest
    package let body: HTTPBody
    package let remoteAddress: SocketAddress
    package let loop: EventLoop
    /// Whether the request came over TLS.
    package let isSecure: Bool
    /// The URIs in the certificate that the client showed; empty without one.
    package let clientCertificateURIs: [String]

    var state = ResponseState.notBegun
    /// Of the answer; 0 before it.
    var status = 0

    init(_ request: HTTPRequest, body: HTTPBody, on stream: ByteStream) {
        self.request = request
        self.body = body
        remoteAddress = stream.remoteAddress
        loop = stream.loop
        isSecure = stream.tls != nil
        clientCertificateURIs = stream.tls?.certificateURIs ?? []
    }

    /// Whether any of an answer has been given, so that another is not possible any more.
    package final var hasBegunResponse: Bool { state != .notBegun }

    // MARK: Answers

    /// Gives the whole answer. `Content-Length` and `Date` are added; HEAD gets the head alone.
    ///
    /// - Precondition: no answer has begun.
    /// - Throws: `EdgeError` when the connection is lost.
    package func respond(_ response: HTTPResponse, body bytes: [UInt8] = []) async throws { ofEachKind() }

    /// Answers with problem details, or, when an answer has begun already, breaks it off so that the client cannot take what
    /// it got for the whole.
    package final func fail(_ problem: ProblemDetails) async throws {
        guard state == .notBegun else {
            if state != .ended { abandon() }
            return
        }
        let (response, bytes) = problem.response()
        try await respond(response, body: bytes)
    }

    /// Begins an answer whose body follows in pieces: as long as `Content-Length` says, or else of any length. Without
    /// `Content-Length` the head goes out at once, otherwise together with the first piece.
    ///
    /// - Precondition: no answer has begun.
    package func start(_ response: HTTPResponse) async throws { ofEachKind() }

    /// Sends a piece of the body; returns when the connection has taken it.
    ///
    /// - Precondition: `start` came before, and no more is written than `Content-Length` said.
    package func write(_ bytes: [UInt8]) async throws { ofEachKind() }

    /// Sends a part of a file as a piece of a body with `Content-Length`; by sendfile on a plain connection of HTTP/1.
    ///
    /// - Precondition: as for `write`; the answer has a `Content-Length`.
    package func writeFile(_ file: Int32, offset: Int64, count: Int) async throws { ofEachKind() }

    /// Ends a streamed answer. One that stays behind its `Content-Length` is broken off.
    package func end() async throws { ofEachKind() }

    /// Sends an interim answer (103, 104), before the answer itself. A client of HTTP/1.0 gets none.
    package func sendInterim(_ response: HTTPResponse) async throws { ofEachKind() }

    /// The client must see that the answer is not whole.
    func abandon() { ofEachKind() }

    // MARK: WebSocket

    /// Whether the client asks for a WebSocket.
    package var isWebSocketRequest: Bool { false }

    /// The subprotocols that the client offers, in its order of preference.
    package final var offeredSubprotocols: [String] { request.fields.listMembers(of: "Sec-WebSocket-Protocol") }

    /// Serves a WebSocket: closes it before it returns, or it is closed then, with 1011 behind an error.
    package typealias WebSocketHandler = @Sendable (WebSocket) async throws -> Void

    /// Answers with 101 and makes the connection a WebSocket (RFC 6455 section 4.2).
    ///
    /// - Parameters:
    ///   - subprotocol: one of those offered (precondition), or none.
    ///   - fields: more fields of the answer.
    ///   - handler: called in the same task when the request's handler has returned, so that an open WebSocket keeps nothing of its
    ///     request.
    /// - Throws: `ProblemDetails` to answer with when the request is no proper handshake.
    package func upgradeToWebSocket(
        subprotocol: String?, maxMessageBytes: Int, fields: HTTPFields = [:], _ handler: @escaping WebSocketHandler
    ) async throws { ofEachKind() }

    // MARK: For both kinds

    /// Answers that never have a body (RFC 9110 section 6.4.1).
    static func hasNoBody(_ status: Int) -> Bool { status == 204 || status == 304 || status < 200 }

    private func ofEachKind() -> Never { preconditionFailure("each kind of exchange has its own") }
}
