import Base
import Crypto
import HTTP
import HTTPCodec
import JSONCodec
import RelayEngine
import RelayService
import Runtime
import Synchronization
import Testing

/// The hook against a server that a test makes.
@Suite(.timeLimit(.minutes(1))) struct AuthorizationHookTests {
    private static let secret = Array("what both sides know".utf8)
    private static let query = AuthorizationQuery(username: "alice", realm: "skerry")

    /// What the server was asked, and what it answers.
    private final class Operator: Sendable {
        struct Question: Sendable {
            let path: String
            let signature: String
            let body: [UInt8]
        }

        let status: Int
        let text: String
        /// Whether answers wait until `isOpen`.
        let isOpen: Atomic<Bool>
        let questions = Mutex<[Question]>([])

        init(_ status: Int, _ text: String = "", isOpen: Bool = true) {
            self.status = status
            self.text = text
            self.isOpen = Atomic(isOpen)
        }

        func answer(_ exchange: HTTPExchange) async throws {
            let body = try await exchange.body.collect(upTo: 4096)
            questions.withLock {
                $0.append(
                    Question(
                        path: exchange.request.path, signature: exchange.request.fields["Skerry-Signature"] ?? "",
                        body: body))
            }
            while !isOpen.load(ordering: .acquiring) { try await exchange.loop.sleep(for: .milliseconds(5)) }
            let fields: HTTPFields = status == 307 ? ["Location": "/elsewhere"] : ["Content-Type": "application/json"]
            try await exchange.respond(HTTPResponse(status: status, fields: fields), body: Array(text.utf8))
        }
    }

    /// Runs the body with a hook that asks the server.
    private func run<Value>(
        _ server: Operator, _ change: (inout AuthorizationHook.Configuration) -> Void = { _ in },
        _ body: (AuthorizationHook) async throws -> Value
    ) async throws -> Value {
        let loops = try EventLoopGroup(count: 1, name: "hook-test")
        var routes = HTTPRoutes()
        for path in ["/authorize", "/elsewhere"] {
            routes.on("POST", path) { exchange, _ in try await server.answer(exchange) }
        }
        let logger = Logger(label: "test", sink: SilentLogSink())
        let http = HTTPServer(
            configuration: HTTPServer.Configuration(), routes: routes, logger: logger, metrics: MetricsRegistry(),
            name: "operator")
        let listener = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: loops.loops) { stream in
            stream.loop.spawn { await http.serve(stream) }
        }
        defer { listener.close() }
        var configuration = AuthorizationHook.Configuration()
        configuration.url = "http://\(listener.localAddress)/authorize"
        configuration.secret = Self.secret
        configuration.allowedNetworks = [try #require(IPNetwork("127.0.0.0/8"))]
        change(&configuration)
        let hook = try AuthorizationHook(
            configuration: configuration, loop: loops.loops[0], logger: logger, metrics: MetricsRegistry())
        return try await body(hook)
    }

    private func ask(
        _ hook: AuthorizationHook, _ query: AuthorizationQuery = query, from source: IPAddress = .loopbackV4
    ) async -> AuthorizationAnswer {
        await withCheckedContinuation { continuation in
            hook.ask(query, from: source) { continuation.resume(returning: $0) }
        }
    }

    private func known(_ tenant: Tenant = .default, life: Int = 60) throws -> AuthorizationAnswer {
        .known(try #require(UserAddress(tenant: tenant, user: "alice")), password: "pass", lifeSeconds: life)
    }

    @Test func `what is sent is signed with the time`() async throws {
        let server = Operator(200, #"{"user":"alice","tenant":"acme","password":"pass","ttl_s":60}"#)
        let answer = try await run(server) { await ask($0) }
        #expect(answer == (try known(try #require(Tenant("acme")))))
        let question = try #require(server.questions.withLock { $0.first })
        #expect(try JSONValue.parse(question.body) == ["username": "alice", "realm": "skerry"])
        let parts = question.signature.split(separator: ",")
        let seconds = try #require(Int64(parts[0].dropFirst("t=".count)))
        #expect(abs(WallClock.now().seconds - seconds) < 60)
        let code = HMAC.sha256(key: Self.secret, Array("\(seconds).".utf8) + question.body)
        #expect(parts[1] == "v1=\(Hex.encode(code))")
    }

    @Test(arguments: [
        (#"{"user":"alice","password":"pass"}"#, 3600), (#"{"user":"alice","password":"pass","ttl_s":999999}"#, 3600),
        (#"{"user":"alice","password":"pass","ttl_s":-1}"#, 1),
    ])
    func `an answer counts for a bounded time`(text: String, life: Int) async throws {
        let answer = try await run(Operator(200, text)) { await ask($0) }
        #expect(answer == (try known(life: life)))
    }

    @Test(arguments: [403, 404])
    func `there may be no such user`(status: Int) async throws {
        let answer = try await run(Operator(status, "whatever")) { await ask($0) }
        #expect(answer == .unknown(lifeSeconds: 10))
    }

    @Test(arguments: [
        (200, ""), (200, "{"), (200, #"{"user":"alice"}"#), (200, #"{"user":"a/b","password":"pass"}"#),
        (200, #"{"user":"alice","tenant":7,"password":"pass"}"#), (200, #"{"user":"alice","password":""}"#),
        (200, "\"" + String(repeating: "x", count: 20_000) + "\""), (204, ""), (401, ""), (500, ""), (503, ""),
    ])
    func `other answers are none`(status: Int, text: String) async throws {
        let answer = try await run(Operator(status, text)) { await ask($0) }
        #expect(answer == .unavailable)
    }

    @Test func `redirections are not followed`() async throws {
        let server = Operator(307)
        #expect(try await run(server) { await ask($0) } == .unavailable)
        #expect(server.questions.withLock { $0.map(\.path) } == ["/authorize"])
    }

    @Test func `a server at an address that no peer may have is not asked`() async throws {
        let server = Operator(200, #"{"user":"alice","password":"pass"}"#)
        let answer = try await run(server) {
            $0.allowedNetworks = []
        } _: {
            await ask($0)
        }
        #expect(answer == .unavailable)
        #expect(server.questions.withLock { $0.isEmpty })
    }

    @Test func `an answer that does not come is given up`() async throws {
        let server = Operator(200, isOpen: false)
        let answer = try await run(server) {
            $0.timeoutMs = 50
        } _: {
            await ask($0)
        }
        #expect(answer == .unavailable)
        server.isOpen.store(true, ordering: .releasing)
    }

    @Test func `the same question is asked once at a time, and only so many at once`() async throws {
        let server = Operator(200, #"{"user":"alice","password":"pass","ttl_s":60}"#, isOpen: false)
        let expected = try known()
        try await run(server) {
            $0.maxRequests = 1
        } _: { hook in
            let answers = Mutex<[AuthorizationAnswer]>([])
            async let first = withCheckedContinuation { continuation in
                hook.ask(Self.query, from: .loopbackV4) { continuation.resume(returning: $0) }
            }
            while server.questions.withLock({ $0.isEmpty }) { await Task.yield() }
            hook.ask(Self.query, from: .loopbackV4) { answer in answers.withLock { $0.append(answer) } }
            #expect(await ask(hook, AuthorizationQuery(username: "bob", realm: "skerry")) == .unavailable)
            #expect(answers.withLock { $0.isEmpty })
            server.isOpen.store(true, ordering: .releasing)
            #expect(await first == expected)
            while answers.withLock({ $0.isEmpty }) { await Task.yield() }
            #expect(answers.withLock { $0 } == [expected])
            #expect(server.questions.withLock { $0.count } == 1)
        }
    }

    @Test func `who makes up names keeps nobody else out`() async throws {
        let server = Operator(200, #"{"user":"alice","password":"pass","ttl_s":60}"#, isOpen: false)
        let expected = try known()
        let (crowd, other) = (IPAddress(v4: 0xC000_0200), IPAddress(v4: 0xC633_6401))
        try await run(server) {
            $0.maxRequests = 16
        } _: { hook in
            let refused = Mutex(0)
            let answered = Mutex(0)
            for number in 0..<8 as Range<UInt32> {
                let query = AuthorizationQuery(username: "name \(number)", realm: "skerry")
                hook.ask(query, from: IPAddress(v4: UInt32(crowd.low) + number)) { answer in
                    if answer == .unavailable { refused.withLock { $0 += 1 } }
                    answered.withLock { $0 += 1 }
                }
            }
            #expect(refused.withLock { $0 } == 6)
            async let answer = ask(hook, from: other)
            while server.questions.withLock({ $0.count }) < 3 { await Task.yield() }
            server.isOpen.store(true, ordering: .releasing)
            #expect(await answer == expected)
            // There is room again for the next, once those before it have their answers.
            while answered.withLock({ $0 }) < 8 { await Task.yield() }
            let late = AuthorizationQuery(username: "late", realm: "skerry")
            #expect(await ask(hook, late, from: crowd) == expected)
        }
    }

    @Test(arguments: [nil, "ftp://example.net/", "example.net"])
    func `a hook needs a URL`(url: String?) throws {
        var configuration = AuthorizationHook.Configuration()
        configuration.url = url
        configuration.secret = Self.secret
        let loops = try EventLoopGroup(count: 1, name: "hook-test")
        #expect(throws: EdgeError.self) {
            try AuthorizationHook(
                configuration: configuration, loop: loops.loops[0],
                logger: Logger(label: "test", sink: SilentLogSink()), metrics: MetricsRegistry())
        }
        loops.shutdown()
    }
}
