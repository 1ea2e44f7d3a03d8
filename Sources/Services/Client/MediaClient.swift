package import Base
package import HTTP
import HTTPCodec
import JSONCodec
package import Runtime

/// Media over HTTP as any client of an operator would do it: tus 1.0.0 for uploads, Range for fetches. Every transfer
/// survives lost connections, and a new process can go on with it.
package final class MediaClient: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// Failures in a row, without a byte of progress between them, after which a transfer is given up.
        package var maxAttempts = 12
        package var firstRetryDelayMs: Int64 = 100
        package var maxRetryDelayMs: Int64 = 5000
        /// How long a finished upload may take to get its id.
        package var registrationTimeoutMs: Int64 = 60_000
        package var pieceBytes = 256 * 1024
        package var maxThumbnailBytes = 4 * 1024 * 1024

        package init() {}
    }

    let baseURL: String
    let token: String?
    let http: HTTPClient
    let loop: EventLoop
    /// Where the files are read and written.
    let pool: BlockingPool
    let configuration: Configuration

    /// - Parameters:
    ///   - baseURL: of an edge, without a path: `http://127.0.0.1:8480`.
    ///   - token: a JWT; nil for fetches by signed path.
    package init(
        baseURL: String, token: String?, http: HTTPClient, loop: EventLoop, pool: BlockingPool,
        configuration: Configuration = Configuration()
    ) {
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.token = token
        self.http = http
        self.loop = loop
        self.pool = pool
        self.configuration = configuration
    }

    /// Gives users of the same tenant a reference, so that they may read the media.
    package func grant(_ media: MediaID, to users: [String], expiresInSeconds: Int64? = nil) async throws {
        let body = JSONValue.object([
            "users": .array(users.map { .string($0) }), "expires_in_s": expiresInSeconds.map { .int($0) },
        ])
        let response = try await request(
            "POST", "/media/\(media)/grants", ["Content-Type": "application/json"], body: .bytes(body.serialized()))
        try await expectSuccess(response)
    }

    /// Drops one's reference; the object goes with the last one.
    package func delete(_ media: MediaID) async throws {
        try await expectSuccess(try await request("DELETE", "/media/\(media)"))
    }

    /// - Parameters:
    ///   - width: in pixels; the server picks the next size that it makes.
    ///   - accept: media types for content negotiation.
    ///   - timeout: how long to wait for one that is still being made.
    package func thumbnail(
        _ media: MediaID, width: Int, accept: String = "image/webp,image/jpeg;q=0.5", timeout: Duration = .seconds(20)
    ) async throws -> Thumbnail {
        let deadline = loop.now + timeout
        while true {
            let seconds = max(1, min(10, (deadline - loop.now).milliseconds / 1000))
            let response = try await request(
                "GET", "/media/\(media)/thumbnail?w=\(width)", ["Accept": accept, "Prefer": "wait=\(seconds)"])
            if response.status == 200 {
                let bytes = try await response.collect(upTo: configuration.maxThumbnailBytes)
                return Thumbnail(bytes: bytes, contentType: response.fields["Content-Type"] ?? "")
            }
            let answer = await AnswerError.reading(response)
            guard answer.status == 503, loop.now < deadline else { throw answer }
            try await loop.sleep(for: min(answer.retryAfter ?? .milliseconds(250), .seconds(2)))
        }
    }

    func request(
        _ method: String, _ target: String, _ fields: HTTPFields = [:], body: HTTPClientRequest.Body = .none
    ) async throws -> HTTPClientResponse {
        var fields = fields
        if let token { fields["Authorization"] = "Bearer \(token)" }
        return try await http.send(HTTPClientRequest(method, baseURL + target, fields: fields, body: body))
    }

    func expectSuccess(_ response: HTTPClientResponse) async throws {
        guard (200..<300).contains(response.status) else { throw await AnswerError.reading(response) }
        _ = try await response.collect(upTo: 64 * 1024)
    }

    /// Waits before the next attempt, or throws what made the last one fail when another cannot help.
    func recover(from error: any Error, _ backoff: inout Backoff) async throws {
        var delay = Duration.zero
        switch error {
        case let answer as AnswerError:
            guard answer.isRetryable else { throw error }
            delay = answer.retryAfter ?? .zero
        case let edge as EdgeError:
            guard edge.isRetryable else { throw error }
        case is StreamError: break
        default: throw error
        }
        guard backoff.attempts < configuration.maxAttempts else { throw error }
        try await loop.sleep(for: max(delay, backoff.next()))
    }
}

/// The progress callback asked to stop.
package struct TransferStopped: Error {
    package init() {}
}
