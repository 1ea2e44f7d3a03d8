import Base
import Crypto
import HTTP
import HTTPCodec
import JSONCodec
import Runtime
import Testing
import Tokens
import UplinkService
import Wire

@testable import ConnectionService

/// A connection layer on a loopback port, and a client for it.
struct TestEdge {
    let uplink: ScriptedUplink
    let service: ConnectionService
    let shutdown = Shutdown()
    let running: Task<Void, any Error>
    private let loops: EventLoopGroup
    private let listener: EdgeListener
    private let authority: String
    private let mint: TokenMint

    init(
        _ uplink: ScriptedUplink = ScriptedUplink(), change: (inout ConnectionService.Configuration) -> Void = { _ in }
    ) throws {
        loops = try EventLoopGroup(count: 2, name: "test")
        self.uplink = uplink
        let key = SigningKey.generateEd25519()
        mint = TokenMint(keyID: "k", key: key, issuer: nil)
        var configuration = ConnectionService.Configuration()
        change(&configuration)
        let logger = Logger(label: "test", sink: SilentLogSink())
        let service = ConnectionService(
            configuration: configuration, uplink: uplink,
            verifier: TokenVerifier(keys: [TokenKey(id: "k", key: key.verificationKey)], issuer: nil),
            iceServers: { owner in
                .init(urls: ["turn:relay.test:3478"], username: "1:\(owner)", credential: "secret", lifeSeconds: 60)
            }, logger: logger, metrics: MetricsRegistry())
        var routes = HTTPRoutes()
        service.register(in: &routes)
        listener = EdgeListener(
            on: SocketAddress(.loopbackV4, port: 0), loops: [loops.loops[0]], tls: nil, allowsPlain: true,
            server: HTTPServer(routes: routes, logger: logger, metrics: MetricsRegistry()), logger: logger,
            metrics: MetricsRegistry())
        authority = try listener.listen().description
        self.service = service
        let shutdown = shutdown
        running = Task { try await service.run(until: shutdown) }
    }

    func token(
        scopes: [String] = ["connect", "calls"], life: Duration = .seconds(600),
        device: DeviceAddress = ScriptedUplink.alice
    ) -> String {
        mint.mint(for: device, scopes: scopes, now: WallClock.now(), life: life)
    }

    func request(_ method: String, _ path: String, token: String?) async throws -> (HTTPClientResponse, JSONValue) {
        let client = HTTPClient(loop: loops.loops[1])
        let fields: HTTPFields = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        let response = try await client.send(HTTPClientRequest(method, "http://\(authority)\(path)", fields: fields))
        let body = try await response.collect(upTo: 65536)
        await client.close()
        return (response, try JSONValue.parse(body))
    }

    func socket(
        token: String?, query: String = "", subprotocols: [String] = ["skerry.v1.json"]
    ) async throws -> TestSocket {
        let client = HTTPClient(loop: loops.loops[1])
        let fields: HTTPFields = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        return TestSocket(
            try await client.webSocket(
                url: "http://\(authority)/connect\(query)", subprotocols: subprotocols, fields: fields))
    }

    /// A socket that has been welcomed.
    func welcomed(resume: ResumePoint? = nil) async throws -> TestSocket {
        let socket = try await socket(token: token())
        try await socket.send(.hello(.init(resume: resume, client: "test/1")))
        guard case .welcome = try await socket.next() else { throw EdgeError(.corrupt, "no welcome") }
        return socket
    }
}

struct TestSocket {
    let socket: WebSocket

    init(_ socket: WebSocket) { self.socket = socket }

    func send(_ frame: ClientFrame) async throws { try await socket.send(text: frame.json) }

    /// The next frame; nil when the socket is closed.
    func next() async throws -> ServerFrame? {
        guard let message = try await socket.receive() else { return nil }
        guard case .text(let text) = message else { throw EdgeError(.corrupt, "a binary message") }
        return try ServerFrame(json: text)
    }

    /// Reads to the end.
    func closed() async throws -> (code: UInt16?, reason: String) {
        while try await socket.receive() != nil {}
        return (socket.closeCode, socket.closeReason)
    }
}
