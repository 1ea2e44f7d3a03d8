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

    /// From the call to the end of the answer's body; nil for the client's configuration, 0 for no limit.
    package var totalTimeoutMs: Int?
    /// Of the answer's body; nil for the client's configuration.
    package var maxResponseBytes: Int?
    /// How many redirections in a row are followed. Each leads to an address that is judged anew; `Authorization` and
    /// `Cookie` stay behind when it leads to another origin.
    package var maxRedirects = 0

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

    /// The body, and its connection until the body has ended: that is somebody else's then.
    ///
    /// `@unchecked Sendable`: used on the connection's loop alone.
    final class Source: @unchecked Sendable {
        let body: HTTPBody
        var connection: HTTPClientConnection?

        init(_ body: HTTPBody, on connection: HTTPClientConnection) {
            self.body = body
            self.connection = connection
        }

        func cancelling<Value: Sendable>(_ read: (HTTPBody) async throws -> Value) async throws -> Value {
            guard let connection else { return try await read(body) }
            return try await connection.cancelling { try await read(body) }
        }
    }

    private let body: HTTPBody
    private let source: Source
    private let loop: EventLoop

    init(_ head: HTTPResponse, from source: Source, loop: EventLoop) {
        status = head.status
        fields = head.fields
        body = source.body
        self.source = source
        self.loop = loop
    }

    /// The fields behind the body, once it has been read to its end.
    package func trailers() async throws -> HTTPFields {
        try await loop.run { [body] in body.trailers }
    }

    /// The next bytes of the body; nil at the end. What had arrived when a connection broke is still returned.
    ///
    /// - Throws: `EdgeError` `.closed` when the body was cut short, `.timeout` when it came too slowly, `.tooLarge` when it is
    ///   longer than it may be; `CancellationError`: cancelling the task ends the connection.
    package func read(atLeast minimum: Int = 1, upTo maximum: Int = 262_144) async throws -> [UInt8]? {
        try await loop.run { [source] in
            try await source.cancelling { try await $0.read(atLeast: minimum, upTo: maximum) }
        }
    }

    /// All of the body.
    ///
    /// - Throws: as `read`, and `EdgeError` `.tooLarge`.
    package func collect(upTo limit: Int) async throws -> [UInt8] {
        try await loop.run { [source] in try await source.cancelling { try await $0.collect(upTo: limit) } }
    }
}
