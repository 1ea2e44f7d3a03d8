package import HTTPCodec
import Runtime

/// What a client asks.
package struct HTTPClientRequest: Sendable {
    package enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Pieces as they come, until nil. With a length as `Content-Length`, which they must make up; without one chunked.
        case stream(length: Int?, next: @Sendable () async throws -> [UInt8]?)
    }

    package var method: String
    /// Absolute: `http://host:port/path?query`.
    package var url: String
    /// `Host`, `Content-Length` and `Transfer-Encoding` are added.
    package var fields: HTTPFields
    package var body: Body
    /// How long the answer's head may take once the request is sent; nil for the client's configuration.
    package var responseTimeoutMs: Int?

    package init(
        _ method: String = "GET", _ url: String, fields: HTTPFields = [:], body: Body = .none,
        responseTimeoutMs: Int? = nil
    ) {
        self.method = method
        self.url = url
        self.fields = fields
        self.body = body
        self.responseTimeoutMs = responseTimeoutMs
    }

    /// Whether it may be sent a second time when an idle connection turns out to be gone.
    var isRepeatable: Bool {
        if case .stream = body { return false }
        return ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].contains(method)
    }
}

/// The answer. Its body is read piece by piece; an answer that is dropped before its end takes its connection along.
package final class HTTPClientResponse: Sendable {
    package let status: Int
    package let fields: HTTPFields
    /// The number of bytes of the body, if the server has said it.
    package var length: Int? { body.length }

    private let body: HTTPBody
    private let loop: EventLoop

    init(_ head: HTTPResponse, body: HTTPBody, loop: EventLoop) {
        status = head.status
        fields = head.fields
        self.body = body
        self.loop = loop
    }

    /// The next bytes of the body; nil at the end. What had arrived when a connection broke is still returned.
    ///
    /// - Throws: `EdgeError` `.closed` when the body was cut short, `.timeout` when it came too slowly.
    package func read(atLeast minimum: Int = 1, upTo maximum: Int = 262_144) async throws -> [UInt8]? {
        try await loop.run { [body] in try await body.read(atLeast: minimum, upTo: maximum) }
    }

    /// All of the body.
    ///
    /// - Throws: as `read`, and `EdgeError` `.tooLarge`.
    package func collect(upTo limit: Int) async throws -> [UInt8] {
        try await loop.run { [body] in try await body.collect(upTo: limit) }
    }
}
