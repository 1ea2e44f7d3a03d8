import Base
import Crypto
import HTTP
import HTTPCodec
import JSONCodec
import Runtime
import Synchronization
import Wire

@testable import Client

/// An edge that breaks connections where the test says, and loops for it and for the clients.
final class ScriptedEdge: Sendable {
    struct Script: Sendable {
        /// An upload's connection breaks when so many bytes of it have come, one after the other.
        var cutUploadsAt: [Int] = []
        /// An answer breaks off after so many bytes of the object.
        var cutFetchesAt: [Int] = []
        /// Answers to PATCH before any byte is read.
        var refusals: [Int] = []
        var object: [UInt8] = []
        /// What the WebSocket does, one connection after the other; the last one again.
        var conversations: [@Sendable (WebSocket) async throws -> Void] = []
    }

    struct Seen: Sendable {
        var uploaded: [UInt8] = []
        var isCreated = false
        var metadata = ""
        var patches = 0
        var ranges: [String?] = []
        var connections = 0
    }

    static let uploadPath = "/media/uploads/one"

    let script: Mutex<Script>
    let seen = Mutex(Seen())
    let group: EventLoopGroup
    let pool = BlockingPool(threads: 2, name: "files", queueLimit: 64)
    private let address = Mutex<SocketAddress?>(nil)
    private let listener = Mutex<EdgeListener?>(nil)
    private let shutdown = Shutdown()

    init(_ script: Script) throws {
        self.script = Mutex(script)
        group = try EventLoopGroup(count: 2, name: "scripted")
    }

    var loop: EventLoop { group.loops[1] }
    var url: String { address.withLock { $0.map { "http://\($0)" } ?? "" } }

    /// Serves while the body runs.
    static func run(_ script: Script, _ body: @escaping @Sendable (ScriptedEdge) async throws -> Void) async throws {
        let edge = try ScriptedEdge(script)
        let logger = Logger(label: "test", sink: SilentLogSink())
        let server = HTTPServer(routes: edge.routes(), logger: logger, metrics: MetricsRegistry())
        let listener = EdgeListener(
            on: SocketAddress(.loopbackV4, port: 0), loops: [edge.group.loops[0]], tls: nil, allowsPlain: true,
            server: server,
            protocols: [:], logger: logger, metrics: MetricsRegistry())
        let address = try listener.listen()
        edge.address.withLock { $0 = address }
        let serving = Task { try await listener.run(until: edge.shutdown) }
        let failure = Mutex<(any Error)?>(nil)
        await edge.loop.spawn {
            do {
                try await body(edge)
            } catch {
                failure.withLock { $0 = error }
            }
        }.value
        edge.shutdown.request()
        let cutOff = Task {
            try await Task.sleep(for: .seconds(1))
            serving.cancel()
        }
        _ = try? await serving.value
        cutOff.cancel()
        edge.group.shutdown()
        if let error = failure.withLock({ $0 }) { throw error }
    }

    func media() -> MediaClient {
        var configuration = MediaClient.Configuration()
        configuration.firstRetryDelayMs = 1
        configuration.maxRetryDelayMs = 10
        configuration.pieceBytes = 16 * 1024
        return MediaClient(
            baseURL: url, token: "token", http: HTTPClient(loop: loop), loop: loop, pool: pool,
            configuration: configuration)
    }

    func messaging(maxQueuedEvents: Int = 64) -> MessagingClient {
        var configuration = MessagingClient.Configuration()
        configuration.firstReconnectDelayMs = 1
        configuration.maxReconnectDelayMs = 10
        configuration.maxQueuedEvents = maxQueuedEvents
        return MessagingClient(
            baseURLs: [url], token: "token", clientName: "test", http: HTTPClient(loop: loop), loop: loop,
            configuration: configuration)
    }

    // MARK: The edge's side

    private struct Cut: Error {}

    private func routes() -> HTTPRoutes {
        var routes = HTTPRoutes()
        routes.on("POST", "/media/uploads") { [self] exchange, _ in
            seen.withLock {
                $0.isCreated = true
                $0.metadata = exchange.request.fields["Upload-Metadata"] ?? ""
            }
            try await exchange.respond(HTTPResponse(status: 201, fields: ["Location": url + Self.uploadPath]))
        }
        routes.on("HEAD", Self.uploadPath) { [self] exchange, _ in
            guard seen.withLock({ $0.isCreated }) else {
                return try await exchange.fail(ProblemDetails(status: 404, detail: "There is no such upload."))
            }
            try await exchange.respond(HTTPResponse(status: 200, fields: offset(isFinished: false)))
        }
        routes.on("PATCH", Self.uploadPath) { [self] exchange, _ in try await patch(exchange) }
        routes.on("GET", "/media/:id") { [self] exchange, _ in try await fetch(exchange) }
        routes.on("GET", "/connect") { [self] exchange, _ in
            let index = seen.withLock { seen in
                seen.connections += 1
                return seen.connections - 1
            }
            let conversations = script.withLock { $0.conversations }
            try await exchange.upgradeToWebSocket(
                subprotocol: "skerry.v1.json", maxMessageBytes: 1 << 20,
                conversations[min(index, conversations.count - 1)])
        }
        return routes
    }

    private func offset(isFinished: Bool) -> HTTPFields {
        let uploaded = seen.withLock { $0.uploaded }
        var fields: HTTPFields = ["Upload-Offset": "\(uploaded.count)", "Tus-Resumable": "1.0.0"]
        if isFinished { fields["Media-Id"] = Hex.encode(Digest.sha256(uploaded)) }
        return fields
    }

    private func patch(_ exchange: HTTPExchange) async throws {
        seen.withLock { $0.patches += 1 }
        if let status = script.withLock({ $0.refusals.isEmpty ? nil : $0.refusals.removeFirst() }) {
            return try await exchange.fail(ProblemDetails(status: status, detail: "The script says so."))
        }
        guard exchange.request.fields["Upload-Offset"] == "\(seen.withLock { $0.uploaded.count })" else {
            return try await exchange.fail(ProblemDetails(status: 409, detail: "Another offset."))
        }
        exchange.body.maxBytes = .max
        while let bytes = try await exchange.body.read() {
            let count = seen.withLock { seen in
                seen.uploaded += bytes
                return seen.uploaded.count
            }
            if let cut = script.withLock({ $0.cutUploadsAt.first }), count >= cut {
                script.withLock { _ = $0.cutUploadsAt.removeFirst() }
                try await cutOff(exchange)
            }
        }
        try await exchange.respond(HTTPResponse(status: 204, fields: offset(isFinished: true)))
    }

    private func fetch(_ exchange: HTTPExchange) async throws {
        let object = script.withLock { $0.object }
        let range = exchange.request.fields["Range"]
        seen.withLock { $0.ranges.append(range) }
        let start = range.flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
        var head = HTTPResponse(
            status: range == nil ? 200 : 206,
            fields: ["Content-Type": "image/jpeg", "Content-Length": "\(object.count - start)"])
        if range != nil { head.fields["Content-Range"] = "bytes \(start)-\(object.count - 1)/\(object.count)" }
        try await exchange.start(head)
        if let cut = script.withLock({ $0.cutFetchesAt.isEmpty ? nil : $0.cutFetchesAt.removeFirst() }) {
            try await exchange.write(Array(object[start..<max(start, cut)]))
            try await cutOff(exchange)
        }
        try await exchange.write(Array(object[start...]))
        try await exchange.end()
    }

    /// Breaks the connection: an answer that stays behind its Content-Length does it.
    private func cutOff(_ exchange: HTTPExchange) async throws {
        if !exchange.hasBegunResponse {
            try await exchange.start(HTTPResponse(status: 200, fields: ["Content-Length": "1"]))
        }
        throw Cut()
    }
}
