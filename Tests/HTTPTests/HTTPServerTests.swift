import Base
import HTTP
import HTTPCodec
import Runtime
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct HTTPServerTests {
    @Test func bodiesHaveALimitThatRoutesRaise() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.maxBodyBytes = 10
        try await TestServer.run(configuration) { routes in
            for (path, limit) in [("/small", 10), ("/large", 20)] {
                routes.on("POST", path) { exchange, _ in
                    exchange.body.maxBytes = limit
                    var count = 0
                    while let piece = try await exchange.body.read() { count += piece.count }
                    try await exchange.respond(HTTPResponse(status: 200), body: Array("\(count)".utf8))
                }
            }
        } _: { server in
            for (path, count, status) in [
                ("small", 10, 200), ("small", 11, 413), ("large", 20, 200), ("large", 21, 413),
            ] {
                let body = String(repeating: "x", count: count)
                let head = "POST /\(path) HTTP/1.1\r\nHost: a\r\n"
                let size = String(count, radix: 16)
                for message in [
                    head + "Content-Length: \(count)\r\n\r\n" + body,
                    head + "Transfer-Encoding: chunked\r\n\r\n\(size)\r\n\(body)\r\n0\r\n\r\n",
                ] {
                    let answer = try await server.exchange(message, half: true)
                    #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(message)")
                    #expect(answer.contains("Connection: close") == (status == 413))
                }
            }
        }
    }

    /// Every byte in time, and yet too slow.
    @Test func bodiesThatTrickleAreCutOff() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.bodyTimeoutMs = 200
        configuration.minBodyBytesPerSecond = 1000
        let failure = Mutex("")
        try await TestServer.run(configuration) { routes in
            routes.on("POST", "/") { exchange, _ in
                do {
                    _ = try await exchange.body.collect(upTo: 100_000)
                } catch {
                    failure.withLock { $0 = "\((error as? EdgeError)?.kind ?? .io)" }
                    throw error
                }
            }
        } _: { server in
            try? await server.onLoop { stream in
                try await stream.send(Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n".utf8))
                while true {
                    try await stream.send([1])
                    try await stream.loop.sleep(for: .milliseconds(20))
                }
            }
            #expect(failure.withLock { $0 } == "timeout")
        }
    }

    /// What a client that has reset its connection asked for is not worked on.
    @Test func aClientThatIsGoneCancelsItsHandler() async throws {
        let outcome = Mutex("")
        try await TestServer.run { routes in
            routes.on("GET", "/waits") { exchange, _ in
                // Closing over bytes that were not read resets a connection.
                try await exchange.sendInterim(HTTPResponse(status: 103))
                do {
                    try await exchange.loop.sleep(for: .seconds(50))
                } catch {
                    outcome.withLock { $0 = "\(error)" }
                    throw error
                }
            }
        } _: { server in
            try await server.onLoop { stream in
                try await stream.send(Array("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
                try await stream.loop.sleep(for: .milliseconds(100))
            }
            while outcome.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
            #expect(outcome.withLock { $0 } == "CancellationError()")
        }
    }

    private func routes(_ routes: inout HTTPRoutes) {
        routes.on("GET", "/hello") { exchange, _ in
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "text/plain"]), body: Array("hello".utf8))
        }
        routes.on("POST", "/echo") { exchange, _ in
            let body = try await exchange.body.collect(upTo: 1_000_000)
            try await exchange.respond(HTTPResponse(status: 200), body: body)
        }
        routes.on("POST", "/unread") { exchange, _ in
            try await exchange.respond(HTTPResponse(status: 403), body: Array("no".utf8))
        }
        routes.on("GET", "/stream/:count") { exchange, parameters in
            try await exchange.start(HTTPResponse(status: 200))
            for index in 0..<(Int(parameters["count"]) ?? 0) { try await exchange.write(Array("\(index);".utf8)) }
            try await exchange.end()
        }
        routes.on("GET", "/short") { exchange, _ in
            try await exchange.start(HTTPResponse(status: 200, fields: ["Content-Length": "10"]))
            try await exchange.write([65, 66])
            try await exchange.end()
        }
        routes.on("GET", "/throws/:kind") { _, parameters in
            guard let kind = EdgeError.Kind(rawValue: parameters["kind"]) else { throw CancellationError() }
            throw EdgeError(kind, "the detail", side: kind == .io ? .internal : .peer)
        }
        routes.on("GET", "/interim") { exchange, _ in
            try await exchange.sendInterim(HTTPResponse(status: 104, fields: ["Location": "/x"]))
            try await exchange.respond(HTTPResponse(status: 204))
        }
        routes.on("GET", "/silent") { _, _ in }
    }

    /// Answers with the parts that differ from run to run cut out.
    private func normalised(_ answer: String) -> String {
        answer.replacing(#/Date: [^\r]*\r\n/#, with: "")
    }

    @Test func anAnswerIsWholeAndDated() async throws {
        try await TestServer.run(routes: routes) { server in
            let answer = try await server.exchange("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.contains(#/\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/#))
            #expect(
                normalised(answer)
                    == "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
            )
        }
    }

    @Test func headHasNoBody() async throws {
        try await TestServer.run(routes: routes) { server in
            for path in ["/hello", "/stream/3"] {
                let answer = try await server.exchange("HEAD \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(answer.hasSuffix("\r\n\r\n"))
            }
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await TestServer.run(routes: routes) { server in
            let answer = try await server.exchange(
                "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                    + "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
                    + "GET /hello HTTP/1.0\r\n\r\n")
            let parts = answer.split(separator: "HTTP/1.1 ").map { String($0) }
            #expect(parts.map { String($0.prefix(3)) } == ["200", "200", "404", "200", "200"])
            #expect(parts.count == 5 && parts[1].hasSuffix("abc") && parts[3].hasSuffix("def"))
        }
    }

    @Test func whoPipelinesManyRequestsLeavesTheLoopToOthersBetweenThem() async throws {
        let (answered, answeredBeforeOthers) = (Counter(), Gauge())
        let add = { (routes: inout HTTPRoutes) in
            routes.on("GET", "/") { exchange, _ in
                if answered.value == 0 {
                    exchange.loop.execute { answeredBeforeOthers.set(Int64(answered.value)) }
                }
                answered.increment()
                try await exchange.respond(HTTPResponse(status: 204))
            }
        }
        try await TestServer.run(routes: add) { server in
            let one = "GET / HTTP/1.1\r\nHost: a\r\n"
            _ = try await server.exchange(
                String(repeating: one + "\r\n", count: 299) + one + "Connection: close\r\n\r\n")
            #expect(answered.value == 300)
            #expect(answeredBeforeOthers.value > 0 && answeredBeforeOthers.value <= 32)
        }
    }

    @Test func streamedAnswersAreChunkedOrEndWithTheConnection() async throws {
        try await TestServer.run(routes: routes) { server in
            let chunked = try await server.exchange("GET /stream/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(chunked.contains("Transfer-Encoding: chunked\r\n"))
            #expect(chunked.hasSuffix("\r\n\r\n2\r\n0;\r\n2\r\n1;\r\n2\r\n2;\r\n0\r\n\r\n"))
            let old = try await server.exchange("GET /stream/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(
                old.hasSuffix("\r\nConnection: close\r\n\r\n0;1;2;") || normalised(old).hasSuffix("close\r\n\r\n0;1;2;")
            )
        }
    }

    @Test func anAnswerCutShortBreaksTheConnection() async throws {
        try await TestServer.run(routes: routes) { server in
            let response = try await server.client.send(HTTPClientRequest("GET", server.url + "/short"))
            #expect(try await response.read() == [65, 66])
            await #expect(throws: EdgeError.self) { try await response.read() }
        }
    }

    @Test func problemsAreAnsweredAsProblemDetails() async throws {
        try await TestServer.run(routes: routes) { server in
            func ask(_ method: String, _ path: String) async throws -> (HTTPClientResponse, String) {
                let response = try await server.client.send(HTTPClientRequest(method, server.url + path))
                return (response, text(try await response.collect(upTo: 10_000)))
            }
            let (missing, missingBody) = try await ask("GET", "/nothing")
            #expect(missing.status == 404)
            #expect(missing.fields["content-type"] == "application/problem+json")
            #expect(missingBody.contains("\"status\":404"))
            let (wrong, _) = try await ask("PUT", "/hello")
            #expect(wrong.status == 405)
            #expect(wrong.fields["Allow"] == "GET, HEAD")
            let (denied, deniedBody) = try await ask("GET", "/throws/unauthenticated")
            #expect(denied.status == 401 && denied.fields["WWW-Authenticate"] == "Bearer")
            #expect(deniedBody.contains("the detail"))
            let (broken, brokenBody) = try await ask("GET", "/throws/io")
            #expect(broken.status == 500 && !brokenBody.contains("the detail"))
            #expect(try await ask("GET", "/throws/exhausted").0.fields["Retry-After"] == "1")
            #expect(try await ask("GET", "/silent").0.status == 500)
            #expect(server.metrics.render().contains(#"responses_total{server="public",status="4xx"} 4"#))
        }
    }

    @Test func aBodyThatIsCutShortIsTheClientsFault() async throws {
        try await TestServer.run(routes: routes) { server in
            let request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"
            let answer = try await server.exchange(request, half: true)
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(answer.contains("cut short"))
            #expect(server.metrics.render().contains(#"responses_total{server="public",status="5xx"} 0"#))
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("GET /hello HTTP/1.1\nHost: a\n\n", "400"),
        ("GET /\(String(repeating: "a", count: 300)) HTTP/1.1\r\n", "414"),
        ("GET / HTTP/1.1\r\nA: \(String(repeating: "a", count: 300))", "431"),
    ])
    func aMalformedRequestIsRefusedAndTheConnectionClosed(_ request: String, _ status: String) async throws {
        var configuration = HTTPServer.Configuration()
        configuration.maxHeadBytes = 300
        try await TestServer.run(configuration, routes: routes) { server in
            let answer = try await server.exchange(request + "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            #expect(!answer.hasSuffix("hello"))
        }
    }

    @Test func continueIsSentWhenTheBodyIsAskedFor() async throws {
        try await TestServer.run(routes: routes) { server in
            let answer = try await server.onLoop { stream in
                try await stream.send(
                    Array(
                        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
                            .utf8))
                guard try await stream.receive() else { return "" }
                let interim = text(stream.inbound.take(stream.inbound.count))
                try await stream.send([65, 66])
                while try await stream.receive() {}
                return interim + text(stream.inbound.take(stream.inbound.count))
            }
            #expect(answer.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"))
            #expect(answer.hasSuffix("AB"))
            // Not asked for: the final answer comes at once, and the connection ends.
            let refusal = try await server.exchange(
                "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            #expect(refusal.hasPrefix("HTTP/1.1 403 Forbidden\r\n") && refusal.contains("Connection: close"))
        }
    }

    @Test func anUnreadBodyIsDrainedOrTheConnectionCloses() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.maxDrainedBodyBytes = 1000
        try await TestServer.run(configuration, routes: routes) { server in
            let small = String(repeating: "x", count: 1000)
            let next = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            #expect(
                try await server.exchange(
                    "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n\(small)\(next)"
                )
                .hasSuffix("hello"))
            let answer = try await server.exchange(
                "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n\(small)", half: true)
            #expect(answer.contains("Connection: close") && answer.hasSuffix("no"))
        }
    }

    @Test func slowAndIdlePeersAreClosed() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.headTimeoutMs = 100
        configuration.idleTimeoutMs = 100
        configuration.bodyTimeoutMs = 100
        try await TestServer.run(configuration, routes: routes) { server in
            let unfinished = try await server.exchange("GET /hel")
            #expect(unfinished == "")
            let idle = try await server.exchange("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(idle.hasSuffix("hello"))
            // The body never comes: the handler's read throws, there is nobody to answer.
            let slow = try await server.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
            #expect(slow == "")
        }
    }

    @Test func interimAnswersComeBeforeTheAnswer() async throws {
        try await TestServer.run(routes: routes) { server in
            let answer = try await server.exchange("GET /interim HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 104 Upload Resumption Supported\r\nLocation: /x\r\n\r\nHTTP/1.1 204 "))
            #expect(!answer.contains("Content-Length"))
            #expect(try await server.client.send(HTTPClientRequest("GET", server.url + "/interim")).status == 204)
        }
    }

    @Test func aDrainEndsIdleConnectionsAndFinishesAnswers() async throws {
        let gate = AsyncGate()
        try await TestServer.run { routes in
            routes.on("GET", "/wait") { exchange, _ in
                await gate.enter()
                try await exchange.respond(HTTPResponse(status: 200), body: [88])
            }
        } _: { server in
            let idles = AsyncGate()
            async let idle = server.onLoop { stream in
                try await stream.send(Array("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
                _ = try await stream.receive()
                idles.open()
                return try await stream.receive()
            }
            await idles.enter()
            async let busy = server.exchange("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            await gate.untilEntered()
            server.server.beginDrain()
            let isStillOpen = try await idle
            #expect(!isStillOpen)
            gate.open()
            let answer = try await busy
            #expect(answer.contains("Connection: close") && answer.hasSuffix("X"))
            await server.server.drained()
        }
    }
}

/// Holds a handler until the test lets it go.
final class AsyncGate: Sendable {
    private struct State {
        var isOpen = false
        var hasEntered = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var watchers: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func enter() async {
        await withCheckedContinuation { continuation in
            let (isOpen, watchers) = state.withLock { state in
                state.hasEntered = true
                if !state.isOpen { state.waiters.append(continuation) }
                defer { state.watchers = [] }
                return (state.isOpen, state.watchers)
            }
            for watcher in watchers { watcher.resume() }
            if isOpen { continuation.resume() }
        }
    }

    func untilEntered() async {
        await withCheckedContinuation { continuation in
            let hasEntered = state.withLock { state in
                if !state.hasEntered { state.watchers.append(continuation) }
                return state.hasEntered
            }
            if hasEntered { continuation.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
