import Base
package import HTTPCodec
package import Runtime

/// A client of HTTP/1.1, plain or under TLS, that keeps a few idle connections. It follows no redirects.
///
/// Lives on one loop; may be called from anywhere.
package final class HTTPClient: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// For the connection and the TLS handshake.
        package var connectTimeoutMs = 5_000
        /// From the end of a request to the head of its answer.
        package var responseTimeoutMs = 30_000
        /// Without any byte of an answer's body that is waited for.
        package var bodyTimeoutMs = 30_000
        /// Without progress in sending: 256 KiB must pass within it.
        package var sendTimeoutMs = 60_000
        /// How long an idle connection is kept; shorter than servers keep theirs.
        package var idleTimeoutMs = 20_000
        package var maxIdleConnections = 16
        package var maxHeadBytes = 65_536
        package var maxHeadFields = 200
        package var webSocket = WebSocket.Configuration()

        package init() {}

        var bodyLimits: HTTP1BodyLimits {
            HTTP1BodyLimits(
                silence: .milliseconds(bodyTimeoutMs), minBytesPerSecond: 0, maxBytes: .max, chunks: HTTPChunkLimits())
        }
    }

    /// `@unchecked Sendable`: used on the client's loop alone.
    private final class Pool: @unchecked Sendable {
        struct Idle {
            let origin: Origin
            let connection: HTTPClientConnection
        }

        /// The one that was used last comes last.
        var idle: [Idle] = []
    }

    private struct Origin: Hashable, Sendable {
        let isSecure: Bool
        let host: String
        let port: UInt16

        init(_ url: HTTPURL) {
            isSecure = url.isSecure
            host = url.host
            port = url.port
        }
    }

    private static let sharedResolver = HostResolver(pool: BlockingPool(threads: 2, name: "resolver", queueLimit: 64))

    private let loop: EventLoop
    private let tls: TLSContext?
    private let resolver: HostResolver?
    private let configuration: Configuration
    private let pool = Pool()

    /// - Parameters:
    ///   - tls: for `https` and `wss`, which fail without it.
    ///   - resolver: nil for one that all clients of the process share.
    package init(
        loop: EventLoop, tls: TLSContext? = nil, resolver: HostResolver? = nil,
        configuration: Configuration = Configuration()
    ) {
        self.loop = loop
        self.tls = tls
        self.resolver = resolver
        self.configuration = configuration
    }

    /// Sends a request, and returns when the head of the answer is there. Cancelling the task cuts it off.
    ///
    /// - Throws: `EdgeError`: `.invalid` for a URL that cannot be used, `.unavailable` when there is no connection, `.timeout`,
    ///   `.closed`, `.io`, `.corrupt`; and what the body's source throws.
    package func send(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        let url = try parse(request.url)
        return try await loop.run { [self] in try await sendOnLoop(request, to: url) }
    }

    /// Opens a WebSocket.
    ///
    /// - Throws: as `send`, and `WebSocketRefusal` when the server answers with anything but 101.
    package func webSocket(
        url: String, subprotocols: [String] = [], fields: HTTPFields = [:], maxMessageBytes: Int = 1_048_576
    ) async throws -> WebSocket {
        let url = try parse(url)
        return try await loop.run { [self] in
            let connection = try await connect(to: url)
            return try await cancelling(connection) {
                try await connection.openWebSocket(
                    url, subprotocols: subprotocols, fields: fields, maxMessageBytes: maxMessageBytes,
                    configuration: configuration.webSocket)
            }
        }
    }

    /// Closes the idle connections.
    package func close() async {
        try? await loop.run { [pool] in pool.idle = [] }
    }

    private func parse(_ text: String) throws -> HTTPURL {
        guard let url = HTTPURL(text) else {
            throw EdgeError(.invalid, "not an absolute URL of http or https", side: .internal)
        }
        return url
    }

    private func sendOnLoop(_ request: HTTPClientRequest, to url: HTTPURL) async throws -> HTTPClientResponse {
        let origin = Origin(url)
        if request.isRepeatable, let connection = takeIdle(origin) {
            do {
                return try await exchange(request, url, on: connection)
            } catch is NoAnswer {
                // The server had ended the idle connection.
            }
        }
        do {
            return try await exchange(request, url, on: try await connect(to: url))
        } catch let error as NoAnswer {
            throw EdgeError(
                .closed, "the connection ended without an answer", side: .upstream, isRetryable: true,
                cause: error.cause)
        }
    }

    private func exchange(
        _ request: HTTPClientRequest, _ url: HTTPURL, on connection: HTTPClientConnection
    ) async throws -> HTTPClientResponse {
        let origin = Origin(url)
        return try await cancelling(connection) {
            try await connection.send(request, to: url) { [weak self] in self?.keep($0, for: origin) }
        }
    }

    private func cancelling<Value: Sendable>(
        _ connection: HTTPClientConnection, _ body: () async throws -> Value
    ) async throws -> Value {
        try await withTaskCancellationHandler {
            do {
                return try await body()
            } catch {
                if Task.isCancelled { throw CancellationError() }
                throw error
            }
        } onCancel: {
            loop.execute { connection.stream.close() }
        }
    }

    private func takeIdle(_ origin: Origin) -> HTTPClientConnection? {
        pool.idle.removeAll { $0.connection.stream.isClosed }
        guard let index = pool.idle.lastIndex(where: { $0.origin == origin }) else { return nil }
        return pool.idle.remove(at: index).connection
    }

    private func keep(_ connection: HTTPClientConnection, for origin: Origin) {
        pool.idle.removeAll { $0.connection.stream.isClosed }
        if pool.idle.count >= configuration.maxIdleConnections { pool.idle.removeFirst() }
        connection.closeWhenIdle(for: .milliseconds(configuration.idleTimeoutMs))
        pool.idle.append(Pool.Idle(origin: origin, connection: connection))
    }

    private func connect(to url: HTTPURL) async throws -> HTTPClientConnection {
        if url.isSecure, tls == nil {
            throw EdgeError(.invalid, "this client has no TLS to reach \(url.authority)", side: .internal)
        }
        let timeout = Duration.milliseconds(configuration.connectTimeoutMs)
        var failure: (any Error)?
        for address in try await (resolver ?? Self.sharedResolver).resolve(url.host, port: url.port).prefix(4) {
            do {
                let stream = try await ByteStream.connect(to: address, on: loop, timeout: timeout)
                let connection = HTTPClientConnection(stream, configuration: configuration)
                if url.isSecure, let tls {
                    let deadline = StreamDeadline(stream)
                    deadline.set(timeout)
                    defer { deadline.cancel() }
                    try await stream.startTLS(tls, serverName: url.host)
                }
                return connection
            } catch {
                failure = error
            }
        }
        throw EdgeError(
            .unavailable, "\(url.authority) cannot be reached", side: .upstream, isRetryable: true, cause: failure)
    }
}
