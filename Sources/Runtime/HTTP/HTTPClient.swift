import Base
package import HTTPCodec
package import Runtime

/// A client of HTTP/1.1, plain or under TLS, with a bounded pool of connections. It follows no redirections unless a request
/// asks for it.
///
/// Lives on one loop; may be called from anywhere.
package final class HTTPClient: Sendable {
    private static let sharedResolver = HostResolver(pool: BlockingPool(threads: 2, name: "resolver", queueLimit: 64))

    private let loop: EventLoop
    private let tls: TLSContext?
    private let resolver: HostResolver?
    private let configuration: Configuration
    private let pool: HTTPConnectionPool

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
        pool = HTTPConnectionPool(loop: loop, configuration: configuration)
    }

    /// Sends a request, and returns when the head of the answer is there. Cancelling the task cuts it off.
    ///
    /// - Throws: `EdgeError`: `.invalid` for a URL that cannot be used, `.forbidden` when the address policy refuses where it
    ///   leads, `.exhausted` when too many requests wait, `.unavailable` when there is no connection, `.timeout`, `.closed`,
    ///   `.io`, `.corrupt`; and what the body's source throws.
    package func send(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        _ = try parse(request.url)
        return try await loop.run { [self] in
            let total = request.totalTimeoutMs ?? configuration.totalTimeoutMs
            let deadline = total > 0 ? loop.now + .milliseconds(total) : nil
            var request = request
            for hop in 0... {
                let url = try parse(request.url)
                let response = try await sendOnLoop(request, to: url, by: deadline)
                guard request.maxRedirects > 0,
                    let next = request.redirected(by: response.status, response.fields, from: url)
                else { return response }
                guard hop < request.maxRedirects else {
                    throw EdgeError(.corrupt, "more than \(hop) redirections in a row", side: .upstream)
                }
                // What is short is read, so that the connection can be used again.
                if let length = response.length, length <= 16_384 { _ = try await response.collect(upTo: 16_384) }
                request = next
            }
            preconditionFailure("the loop above ends by itself")
        }
    }

    /// Opens a WebSocket.
    ///
    /// - Throws: as `send`, and `WebSocketRefusal` when the server answers with anything but 101.
    package func webSocket(
        url: String, subprotocols: [String] = [], fields: HTTPFields = [:], maxMessageBytes: Int = 1_048_576
    ) async throws -> WebSocket {
        let url = try parse(url)
        return try await loop.run { [self] in
            let connection = try await connect(to: url, slot: nil, by: nil)
            return try await connection.cancelling {
                try await connection.openWebSocket(
                    url, subprotocols: subprotocols, fields: fields, maxMessageBytes: maxMessageBytes,
                    configuration: configuration.webSocket)
            }
        }
    }

    /// Closes the idle connections.
    package func close() async {
        try? await loop.run { [pool] in pool.closeIdle() }
    }

    private func parse(_ text: String) throws -> HTTPURL {
        guard let url = HTTPURL(text) else {
            throw EdgeError(.invalid, "not an absolute URL of http or https", side: .internal)
        }
        return url
    }

    private func sendOnLoop(
        _ request: HTTPClientRequest, to url: HTTPURL, by deadline: MonotonicInstant?
    ) async throws -> HTTPClientResponse {
        var mayReuse = request.isRepeatable
        while true {
            let wait = try remaining(.milliseconds(configuration.queueTimeoutMs), until: deadline)
            switch try await pool.lease(HTTPConnectionPool.Origin(url), mayReuse: mayReuse, within: wait) {
            case .idle(let connection):
                do {
                    return try await exchange(request, url, on: connection, by: deadline)
                } catch is NoAnswer {
                    // The server had ended the idle connection. The next one is new.
                    mayReuse = false
                }
            case .room(let slot):
                do {
                    let connection = try await connect(to: url, slot: slot, by: deadline)
                    return try await exchange(request, url, on: connection, by: deadline)
                } catch let error as NoAnswer {
                    throw EdgeError(
                        .closed, "the connection ended without an answer", side: .upstream, isRetryable: true,
                        cause: error.cause)
                }
            }
        }
    }

    private func exchange(
        _ request: HTTPClientRequest, _ url: HTTPURL, on connection: HTTPClientConnection,
        by deadline: MonotonicInstant?
    ) async throws -> HTTPClientResponse {
        try await connection.cancelling {
            try await connection.send(request, to: url, by: deadline) { [weak pool] in pool?.keep($0) }
        }
    }

    /// - Throws: `EdgeError` `.timeout` when the deadline has passed.
    private func remaining(_ timeout: Duration, until deadline: MonotonicInstant?) throws -> Duration {
        guard let deadline else { return timeout }
        let left = deadline - loop.now
        guard left > .zero else {
            throw EdgeError(.timeout, "the request took too long", side: .upstream, isRetryable: true)
        }
        return min(timeout, left)
    }

    private func connect(
        to url: HTTPURL, slot: HTTPConnectionPool.Slot?, by deadline: MonotonicInstant?
    ) async throws -> HTTPClientConnection {
        if url.isSecure, tls == nil {
            throw EdgeError(.invalid, "this client has no TLS to reach \(url.authority)", side: .internal)
        }
        if let path = configuration.unixSocketPath { return try connect(toUnixSocket: path, for: url, slot: slot) }
        let connectBy = loop.now + (try remaining(.milliseconds(configuration.connectTimeoutMs), until: deadline))
        let found = try await (resolver ?? Self.sharedResolver).resolve(
            url.host, port: url.port, on: loop, within: connectBy - loop.now)
        let addresses = found.map { SocketAddress($0.ip.unmapped, port: $0.port) }
        let permitted = addresses.filter { configuration.addresses.permits($0.ip) }
        guard !permitted.isEmpty else {
            throw EdgeError(.forbidden, "\(url.authority) is at an address that is not allowed", side: .upstream)
        }
        var failure: (any Error)?
        for address in permitted.prefix(4) {
            try Task.checkCancellation()
            guard connectBy > loop.now else { break }
            do {
                let stream = try await ByteStream.connect(to: address, on: loop, timeout: connectBy - loop.now)
                let connection = HTTPClientConnection(
                    stream, to: HTTPConnectionPool.Origin(url), slot: slot, configuration: configuration)
                if url.isSecure, let tls {
                    let timer = StreamDeadline(stream)
                    timer.set(connectBy - loop.now)
                    defer { timer.cancel() }
                    try await connection.cancelling { try await stream.startTLS(tls, serverName: url.host) }
                }
                return connection
            } catch {
                failure = error
            }
        }
        try Task.checkCancellation()
        throw EdgeError(
            .unavailable, "\(url.authority) cannot be reached", side: .upstream, isRetryable: true, cause: failure)
    }

    private func connect(
        toUnixSocket path: String, for url: HTTPURL, slot: HTTPConnectionPool.Slot?
    ) throws -> HTTPClientConnection {
        do {
            return HTTPClientConnection(
                try ByteStream.connect(toUnixSocket: path, on: loop), to: HTTPConnectionPool.Origin(url), slot: slot,
                configuration: configuration)
        } catch {
            throw EdgeError(
                .unavailable, "\(path) cannot be reached", side: .upstream, isRetryable: true, cause: error)
        }
    }
}
