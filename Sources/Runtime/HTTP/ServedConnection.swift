import Base
import Runtime

/// A connection of a server, of either version of HTTP.
enum ServedConnection: Sendable {
    case http1(HTTPServerConnection)
    case http2(HTTP2Connection)

    /// Under TLS ALPN names the version; without it a client of HTTP/2 knows beforehand that it may speak it, and says so
    /// first (RFC 9113 section 3.3).
    init(_ server: HTTPServer, _ stream: ByteStream) async {
        let name = stream.tls?.applicationProtocol
        let isHTTP2 = name == nil ? await Self.beginsWithPreface(stream, server.configuration) : name == "h2"
        self =
            isHTTP2
            ? .http2(HTTP2Connection(server, stream))
            : .http1(HTTPServerConnection(server, stream, server.shared(on: stream.loop)))
    }

    private static func beginsWithPreface(_ stream: ByteStream, _ configuration: HTTPServer.Configuration) async -> Bool
    {
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8
        func isPossible() -> Bool { stream.inbound.withBytes { preface.starts(with: $0.prefix(preface.count)) } }
        guard !stream.inbound.isEmpty, isPossible() else { return false }
        let deadline = StreamDeadline(stream)
        deadline.set(.milliseconds(configuration.headTimeoutMs))
        defer { deadline.cancel() }
        while stream.inbound.count < preface.count, isPossible() {
            guard let hasMore = try? await stream.receive(), hasMore else { return false }
        }
        return isPossible()
    }

    var id: ObjectIdentifier {
        switch self {
        case .http1(let connection): ObjectIdentifier(connection)
        case .http2(let connection): ObjectIdentifier(connection)
        }
    }

    var stream: ByteStream {
        switch self {
        case .http1(let connection): connection.stream
        case .http2(let connection): connection.stream
        }
    }

    /// The connection, if its last request has made a WebSocket of it.
    var upgraded: HTTPServerConnection? {
        guard case .http1(let connection) = self, connection.upgrade != nil else { return nil }
        return connection
    }

    /// Serves requests until there are no more.
    func run() async {
        switch self {
        case .http1(let connection): await connection.run()
        case .http2(let connection): await connection.run()
        }
    }

    /// Cuts the connection off, and cancels what it works on.
    func cancel() {
        switch self {
        case .http1(let connection): connection.cancel()
        // Its receiver ends, and cancels the handlers.
        case .http2(let connection): connection.stream.close()
        }
    }

    func drain() {
        switch self {
        case .http1(let connection): connection.drain()
        case .http2(let connection): connection.drain()
        }
    }
}
