import Base
import Glibc
import HTTP
import HTTPCodec
import Runtime
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct HTTP2ServerTests {
    private func routes(_ routes: inout HTTPRoutes) {
        routes.on("GET", "/hello") { exchange, _ in
            let fields: HTTPFields = [
                "Content-Type": "text/plain", "Connection": "close", "X-Host": exchange.request.fields["host"] ?? "",
            ]
            try await exchange.respond(HTTPResponse(status: 200, fields: fields), body: Array("hello".utf8))
        }
        routes.on("POST", "/echo") { exchange, _ in
            let body = try await exchange.body.collect(upTo: 1_000_000)
            let fields: HTTPFields = ["X-Trailer": exchange.body.trailers["x-sum"] ?? ""]
            try await exchange.respond(HTTPResponse(status: 200, fields: fields), body: body)
        }
        routes.on("POST", "/unread") { exchange, _ in
            try await exchange.respond(HTTPResponse(status: 403), body: Array("no".utf8))
        }
        routes.on("GET", "/large/:count") { exchange, parameters in
            let count = Int(parameters["count"]) ?? 0
            try await exchange.respond(HTTPResponse(status: 200), body: [UInt8](repeating: 7, count: count))
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
        routes.on("GET", "/interim") { exchange, _ in
            try await exchange.sendInterim(HTTPResponse(status: 104, fields: ["Location": "/x"]))
            try await exchange.respond(HTTPResponse(status: 204))
        }
        routes.on("GET", "/fails") { exchange, _ in
            try await exchange.start(HTTPResponse(status: 200))
            try await exchange.write([65])
            throw EdgeError(.io, "broken", side: .internal)
        }
        routes.on("GET", "/silent") { _, _ in }
        routes.on("GET", "/socket") { exchange, _ in
            try await exchange.upgradeToWebSocket(subprotocol: nil, maxMessageBytes: 10) { _ in }
        }
    }

    private func withClient(
        _ configuration: HTTPServer.Configuration = .init(), settings: [(UInt16, UInt32)] = [],
        routes more: @escaping (inout HTTPRoutes) -> Void = { _ in },
        _ body: @escaping @Sendable (HTTP2TestClient, TestServer) async throws -> Void
    ) async throws {
        try await TestServer.run(
            configuration,
            routes: {
                routes(&$0)
                more(&$0)
            }
        ) { server in
            try await server.onLoop { stream in
                try await body(HTTP2TestClient(stream, settings: settings), server)
            }
        }
    }

    // MARK: Answers

    @Test func anAnswerIsWhole() async throws {
        try await withClient { client, _ in
            let answer = try await client.get(1, "/hello")
            #expect(answer.status == 200 && answer.body == Array("hello".utf8) && answer.reset == nil)
            #expect(answer.fields["content-length"] == "5" && answer.fields["content-type"] == "text/plain")
            #expect(answer.fields["date"] != nil && answer.fields["connection"] == nil)
            #expect(answer.fields["x-host"] == "a")
            try await client.headers(3, HTTP2TestClient.request("HEAD", "/hello"))
            let head = try await client.answer(3)
            #expect(head.status == 200 && head.fields["content-length"] == "5" && head.body.isEmpty)
            let empty = try await client.get(5, "/interim")
            #expect(empty.interim == [104] && empty.status == 204 && empty.fields["content-length"] == nil)
            #expect(try await client.get(7, "/stream/3").body == Array("0;1;2;".utf8))
        }
    }

    @Test func problemsAreAnswers() async throws {
        try await withClient { client, _ in
            let missing = try await client.get(1, "/nothing")
            #expect(missing.status == 404 && missing.fields["content-type"] == "application/problem+json")
            #expect(try await client.get(3, "/silent").status == 500)
            #expect(try await client.get(5, "/socket").status == 426)
            try await client.headers(7, HTTP2TestClient.request("PUT", "/hello"))
            let wrong = try await client.answer(7)
            #expect(wrong.status == 405 && wrong.fields["allow"] == "GET, HEAD")
        }
    }

    @Test func anAnswerCutShortIsReset() async throws {
        try await withClient { client, _ in
            let short = try await client.get(1, "/short")
            #expect(short.status == 200 && short.reset == 2)
            let failed = try await client.get(3, "/fails")
            #expect(failed.status == 200 && failed.reset == 2)
            #expect(try await client.get(5, "/hello").status == 200)
        }
    }

    @Test func bodiesComeWholeAndInPieces() async throws {
        try await withClient { client, _ in
            try await client.headers(1, HTTP2TestClient.request("POST", "/echo"), ends: false)
            try await client.headers(
                3, HTTP2TestClient.request("POST", "/echo", [("content-length", "3")]), ends: false)
            for byte in UInt8(0)..<50 { try await client.data(1, [byte], ends: false) }
            try await client.data(3, Array("abc".utf8))
            #expect(try await client.answer(3).body == Array("abc".utf8))
            // The last of it is a frame without data, and trailers end a body too.
            try await client.data(1, [])
            #expect(try await client.answer(1).body == Array(0..<50))
            try await client.headers(5, HTTP2TestClient.request("POST", "/echo"), ends: false)
            try await client.data(5, [1, 2], ends: false)
            try await client.headers(5, [("x-sum", "3")])
            let answer = try await client.answer(5)
            #expect(answer.body == [1, 2] && answer.fields["x-trailer"] == "3")
        }
    }

    @Test func bodiesAreAskedFor() async throws {
        try await withClient { client, _ in
            let expecting = HTTP2TestClient.request("POST", "/echo", [("expect", "100-continue")])
            try await client.headers(1, expecting, ends: false)
            while true {
                let frame = try await client.next()
                if frame.stream == 1 {
                    #expect(frame.type == 1 && !frame.isEnd)
                    break
                }
            }
            try await client.data(1, [9])
            #expect(try await client.answer(1).body == [9])
            let refused = HTTP2TestClient.request("POST", "/unread", [("expect", "100-continue")])
            try await client.headers(3, refused, ends: false)
            let answer = try await client.answer(3)
            #expect(answer.status == 403 && answer.interim.isEmpty)
        }
    }

    /// Behind the answer the client is told to stop (RFC 9113 section 8.1).
    @Test func anUnreadBodyIsStopped() async throws {
        try await withClient { client, _ in
            try await client.headers(1, HTTP2TestClient.request("POST", "/unread"), ends: false)
            try await client.data(1, [1, 2, 3], ends: false)
            #expect(try await client.answer(1).status == 403)
            let stop = try await client.next()
            #expect(stop.type == 3 && stop.stream == 1 && number(stop.payload) == 0)
        }
    }

    @Test func filesAreSent() async throws {
        let path = "/tmp/skerry-http2-\(getpid())"
        let content = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try FileSystem.replace(path, with: content)
        defer { unlink(path) }
        let file = try File(path, .read)
        try await withClient(
            settings: [(4, 1 << 20)],
            routes: { routes in
                routes.on("GET", "/file") { exchange, _ in
                    try await exchange.start(HTTPResponse(status: 200, fields: ["Content-Length": "699990"]))
                    try await exchange.writeFile(file.descriptor, offset: 10, count: 699_990)
                    try await exchange.end()
                }
                routes.on("GET", "/beyond") { exchange, _ in
                    try await exchange.start(HTTPResponse(status: 200, fields: ["Content-Length": "100"]))
                    try await exchange.writeFile(file.descriptor, offset: 699_950, count: 100)
                    try await exchange.end()
                }
            }
        ) { client, _ in
            try await client.send(8, payload: bytes(UInt32(1 << 20)))
            let answer = try await client.get(1, "/file")
            #expect(answer.body == Array(content[10...]))
            let beyond = try await client.get(3, "/beyond")
            #expect(beyond.reset == 2 && beyond.body.isEmpty)
        }
    }

    // MARK: Flow control

    /// A handler that does not read gives no credit.
    @Test func creditComesWithReading() async throws {
        let isOpen = AsyncStream.makeStream(of: Void.self)
        var configuration = HTTPServer.Configuration()
        configuration.http2.streamWindowBytes = 65_535
        configuration.http2.connectionWindowBytes = 65_535
        try await withClient(
            configuration,
            routes: { routes in
                routes.on("POST", "/gate") { exchange, _ in
                    for await _ in isOpen.stream { break }
                    let body = try await exchange.body.collect(upTo: 1_000_000)
                    try await exchange.respond(HTTPResponse(status: 200), body: Array("\(body.count)".utf8))
                }
            }
        ) { client, _ in
            try await client.headers(1, HTTP2TestClient.request("POST", "/gate"), ends: false)
            for _ in 0..<4 { try await client.data(1, [UInt8](repeating: 1, count: 16_000), ends: false) }
            // All that came before the answer to a PING has been looked at.
            try await client.send(6, payload: [UInt8](repeating: 0, count: 8))
            while true {
                let frame = try await client.next()
                #expect(frame.type != 8 || frame.stream == 0 && number(frame.payload) < 60_000)
                if frame.type == 6 { break }
            }
            isOpen.continuation.yield()
            var credited = Set<UInt32>()
            while credited.count < 2 {
                let frame = try await client.next()
                if frame.type == 8 { credited.insert(frame.stream) }
            }
            #expect(credited == [0, 1])
            try await client.data(1, [1, 2, 3])
            #expect(try await client.answer(1).body == Array("64003".utf8))
        }
    }

    /// A reader that is never done with all that has come keeps no more than a window of it.
    @Test func whatWasReadIsNotKept() async throws {
        let total = 32 << 20
        let growth = Atomic<Int>(.max)
        try await withClient(routes: { routes in
            routes.on("POST", "/slow") { exchange, _ in
                exchange.body.maxBytes = total
                let before = Self.residentBytes()
                var left = total
                while left > 1 << 20, let bytes = try await exchange.body.read(upTo: 10_000) {
                    left -= bytes.count
                    await Task.yield()
                }
                growth.store(Self.residentBytes() - before, ordering: .relaxed)
                while try await exchange.body.read() != nil {}
                try await exchange.respond(HTTPResponse(status: 204))
            }
        }) { client, _ in
            try await client.headers(1, HTTP2TestClient.request("POST", "/slow"), ends: false)
            var credit: [UInt32: Int] = [0: 65_535, 1: 262_144]
            var left = total
            let piece = [UInt8](repeating: 1, count: 16_000)
            while left > 0 {
                let count = min(left, piece.count)
                while min(credit[0] ?? 0, credit[1] ?? 0) < count {
                    let frame = try await client.next()
                    if frame.type == 8 { credit[frame.stream]? += Int(number(frame.payload)) }
                }
                credit[0]? -= count
                credit[1]? -= count
                left -= count
                try await client.data(1, Array(piece[..<count]), ends: left == 0)
            }
            #expect(try await client.answer(1).status == 204)
        }
        #expect(growth.load(ordering: .relaxed) < 8 << 20)
    }

    private static func residentBytes() -> Int {
        var text = [UInt8](repeating: 0, count: 128)
        let file = open("/proc/self/statm", O_RDONLY)
        defer { close(file) }
        let count = read(file, &text, text.count)
        let numbers = String(decoding: text[..<max(0, count)], as: UTF8.self).split(separator: " ")
        return (Int(numbers[1]) ?? 0) * 4096
    }

    @Test func nothingIsSentWithoutCredit() async throws {
        try await withClient(settings: [(4, 0)]) { client, _ in
            try await client.headers(1, HTTP2TestClient.request("GET", "/large/100"))
            try await client.send(6, payload: [UInt8](repeating: 0, count: 8))
            while true {
                let frame = try await client.next()
                #expect(frame.type != 0)
                if frame.type == 6 { break }
            }
            try await client.send(8, stream: 1, payload: bytes(UInt32(10)))
            var frame = try await client.next()
            while frame.type != 0 { frame = try await client.next() }
            #expect(frame.payload.count == 10 && !frame.isEnd)
            try await client.send(8, stream: 1, payload: bytes(UInt32(90)))
            let rest = try await client.answer(1)
            #expect(rest.body.count == 90 && rest.reset == nil)
        }
    }

    @Test func manyStreamsShareAConnection() async throws {
        try await withClient(settings: [(4, 1 << 20)]) { client, _ in
            try await client.send(8, payload: bytes(UInt32(1 << 24)))
            let ids = (0..<100).map { UInt32(2 * $0 + 1) }
            for id in ids { try await client.headers(id, HTTP2TestClient.request("GET", "/large/\(20_000 + id)")) }
            let answers = try await client.answers(ids)
            for id in ids { #expect(answers[id]?.status == 200 && answers[id]?.body.count == 20_000 + Int(id)) }
        }
    }

    // MARK: Ends

    @Test func aResetCancelsTheHandler() async throws {
        let events = AsyncStream.makeStream(of: String.self)
        try await withClient(routes: { routes in
            routes.on("GET", "/waits") { exchange, _ in
                events.continuation.yield("began")
                do {
                    try await exchange.loop.sleep(for: .seconds(60))
                } catch {
                    events.continuation.yield("cancelled")
                    throw error
                }
            }
        }) { client, _ in
            var iterator = events.stream.makeAsyncIterator()
            try await client.headers(1, HTTP2TestClient.request("GET", "/waits"))
            #expect(await iterator.next() == "began")
            try await client.send(3, stream: 1, payload: bytes(UInt32(8)))
            #expect(await iterator.next() == "cancelled")
            #expect(try await client.get(3, "/hello").status == 200)
            try await client.headers(5, HTTP2TestClient.request("GET", "/waits"))
            #expect(await iterator.next() == "began")
            client.stream.close()
            #expect(await iterator.next() == "cancelled")
        }
    }

    @Test func slowPeersAreGivenUp() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.bodyTimeoutMs = 100
        configuration.sendTimeoutMs = 100
        try await withClient(configuration, settings: [(4, 0)]) { client, _ in
            try await client.headers(1, HTTP2TestClient.request("GET", "/large/100"))
            #expect(try await client.answer(1).reset == 8)
            try await client.send(4, payload: bytes(UInt16(4)) + bytes(UInt32(65_535)))
            try await client.headers(3, HTTP2TestClient.request("POST", "/echo"), ends: false)
            #expect(try await client.answer(3).status == 408)
        }
    }

    /// The end of an answer of unknown length needs credit, too: a peer that gives none must not hold its stream for ever.
    @Test func anAnswerWithoutItsEndIsGivenUp() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.sendTimeoutMs = 100
        try await withClient(configuration, settings: [(4, 2)]) { client, _ in
            try await client.headers(1, HTTP2TestClient.request("GET", "/stream/1"))
            let answer = try await client.answer(1)
            #expect(answer.body == Array("0;".utf8) && answer.reset == 8)
        }
    }

    /// One bad request on a connection that many share is no reason to end the others.
    @Test func aMalformedHeadEndsItsStreamAlone() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.headTimeoutMs = 100
        try await withClient(
            configuration,
            routes: { routes in
                routes.on("GET", "/later") { exchange, _ in
                    try await exchange.loop.sleep(for: .milliseconds(300))
                    try await exchange.respond(HTTPResponse(status: 204))
                }
            }
        ) { client, _ in
            try await client.headers(1, HTTP2TestClient.request("GET", "/later"))
            try await client.headers(3, HTTP2TestClient.request("GET", "/hello", [("Upper-Case", "x")]))
            let answers = try await client.answers([1, 3])
            #expect(answers[3]?.reset == 1)
            #expect(answers[1]?.status == 204)
        }
    }

    @Test(arguments: ["nothing", "no settings", "half a head"]) func idleConnectionsEnd(_ what: String) async throws {
        var configuration = HTTPServer.Configuration()
        configuration.idleTimeoutMs = what == "nothing" ? 100 : 60_000
        configuration.headTimeoutMs = 100
        try await TestServer.run(configuration, routes: routes) { server in
            try await server.onLoop { stream in
                if what == "no settings" {
                    try await stream.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8))
                    while try await stream.receive() { stream.inbound.consume(stream.inbound.count) }
                    return
                }
                let client = try await HTTP2TestClient(stream)
                if what == "half a head" {
                    #expect(try await client.get(1, "/hello").status == 200)
                    try await client.send(1, flags: 0, stream: 3, payload: HTTP2TestClient.block([(":method", "GET")]))
                }
                let code = try await client.goAway()?.code
                #expect(code == (what == "nothing" ? 0 : HTTP2TestClient.calmDown))
                await #expect(throws: HTTP2TestClient.Ended.self) { while true { _ = try await client.next() } }
            }
        }
    }

    @Test func aConnectionEndsBehindItsLastRequest() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.maxRequestsPerConnection = 2
        try await withClient(configuration) { client, _ in
            #expect(try await client.get(1, "/hello").status == 200)
            try await client.headers(3, HTTP2TestClient.request("GET", "/hello"))
            let goAway = try await client.goAway()
            #expect(goAway?.code == 0 && goAway?.lastStream == 3)
            #expect(try await client.answer(3).status == 200)
            await #expect(throws: HTTP2TestClient.Ended.self) { while true { _ = try await client.next() } }
        }
    }

    /// What stands behind the last stream that GOAWAY names is sent again elsewhere, and so must not be served here.
    @Test func requestsBehindTheLastAreNotServed() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.maxRequestsPerConnection = 1
        let served = Atomic<Int>(0)
        try await withClient(
            configuration,
            routes: { routes in
                routes.on("POST", "/count") { exchange, _ in
                    served.add(1, ordering: .relaxed)
                    try await exchange.respond(HTTPResponse(status: 204))
                }
            }
        ) { client, _ in
            let block = HTTP2TestClient.block(HTTP2TestClient.request("POST", "/count"))
            try await client.stream.send(
                [1, 3, 5].flatMap { HTTP2TestClient.frame(1, flags: 5, stream: $0, payload: block) })
            #expect(try await client.goAway()?.lastStream == 1)
            await #expect(throws: HTTP2TestClient.Ended.self) { while true { _ = try await client.next() } }
        }
        #expect(served.load(ordering: .relaxed) == 1)
    }

    @Test func drainingEndsBehindTheLastAnswer() async throws {
        let isOpen = AsyncStream.makeStream(of: Void.self)
        try await withClient(routes: { routes in
            routes.on("GET", "/gate") { exchange, _ in
                for await _ in isOpen.stream { break }
                try await exchange.respond(HTTPResponse(status: 200), body: [1])
            }
        }) { client, server in
            try await client.headers(1, HTTP2TestClient.request("GET", "/gate"))
            try await client.headers(3, HTTP2TestClient.request("GET", "/hello"))
            _ = try await client.answer(3)
            server.server.beginDrain()
            let goAway = try await client.goAway()
            #expect(goAway?.code == 0 && goAway?.lastStream == 3)
            // Too late: ignored.
            try await client.headers(5, HTTP2TestClient.request("GET", "/hello"))
            isOpen.continuation.yield()
            #expect(try await client.answer(1).body == [1])
            await #expect(throws: HTTP2TestClient.Ended.self) {
                while true {
                    let frame = try await client.next()
                    #expect(frame.stream != 5)
                }
            }
        }
    }

    // MARK: Refusals

    @Test(arguments: [
        [(":method", "GET"), (":scheme", "http"), (":path", "/a#b"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "a"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "*"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "user@a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "a"), ("host", "b")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/hello")],
        [(":method", "GET"), (":path", "/hello"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        [(":scheme", "http"), (":path", "/hello"), (":authority", "a")],
        [(":method", "GET"), (":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "a"), (":status", "200")],
        [("a", "b"), (":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "a")],
        HTTP2TestClient.request("G ET", "/hello"),
        HTTP2TestClient.request("GET", "/hello", [("Upper", "a")]),
        HTTP2TestClient.request("GET", "/hello", [("connection", "close")]),
        HTTP2TestClient.request("GET", "/hello", [("transfer-encoding", "chunked")]),
        HTTP2TestClient.request("GET", "/hello", [("upgrade", "websocket")]),
        HTTP2TestClient.request("GET", "/hello", [("te", "gzip")]),
        HTTP2TestClient.request("GET", "/hello", [("a", "b\r\nc: d")]),
        HTTP2TestClient.request("GET", "/hello", [("content-length", "5")]),
        HTTP2TestClient.request("GET", "/hello", [("content-length", "-1")]),
        [(":method", "CONNECT"), (":authority", "a")],
        [
            (":method", "CONNECT"), (":scheme", "http"), (":path", "/hello"), (":authority", "a"),
            (":protocol", "websocket"),
        ],
    ])
    func whatHTTP1WouldRefuseIsRefused(_ fields: [(String, String)]) async throws {
        try await withClient { client, _ in
            try await client.headers(1, fields)
            let answer = try await client.answer(1)
            #expect(answer.status == 400 || answer.reset == 1, "\(answer)")
            #expect(try await client.get(3, "/hello").status == 200)
        }
    }

    @Test func headsAreBounded() async throws {
        try await withClient { client, _ in
            let many = (0..<101).map { ("x-\($0)", "a") }
            try await client.headers(1, HTTP2TestClient.request("GET", "/hello", many))
            #expect(try await client.answer(1).status == 431)
            let large = (0..<4).map { ("x-\($0)", String(repeating: "a", count: 9_000)) }
            let block = HTTP2TestClient.block(HTTP2TestClient.request("GET", "/hello", large))
            try await client.send(1, flags: 1, stream: 3, payload: Array(block[..<16_000]))
            try await client.send(9, flags: 0, stream: 3, payload: Array(block[16_000..<32_000]))
            try await client.send(9, flags: 4, stream: 3, payload: Array(block[32_000...]))
            #expect(try await client.answer(3).status == 431)
            #expect(try await client.get(5, "/" + String(repeating: "a", count: 8192)).status == 414)
            #expect(try await client.get(7, "/hello").status == 200)
        }
    }

    @Test func onlySoManyRequestsAreOpen() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.http2.maxConcurrentStreams = 2
        try await withClient(configuration, settings: [(4, 0)]) { client, _ in
            // The limit holds once the client has acknowledged it.
            #expect(try await client.get(1, "/interim").status == 204)
            for id in [3, 5, 7] as [UInt32] {
                try await client.headers(id, HTTP2TestClient.request("GET", "/large/10"))
            }
            #expect(try await client.goAway()?.code == 1)
        }
    }

    /// Resetting a request does not make room while its handler works on.
    @Test func handlersOfResetRequestsCount() async throws {
        let gate = AsyncStream.makeStream(of: Void.self)
        var configuration = HTTPServer.Configuration()
        configuration.http2.maxConcurrentStreams = 2
        try await withClient(
            configuration,
            routes: { routes in
                routes.on("GET", "/stubborn") { _, _ in
                    await Task.detached { for await _ in gate.stream {} }.value
                }
            }
        ) { client, _ in
            for id in [1, 3, 5, 7] as [UInt32] {
                try await client.headers(id, HTTP2TestClient.request("GET", "/stubborn"))
                try await client.send(3, stream: id, payload: bytes(UInt32(8)))
            }
            try await client.headers(9, HTTP2TestClient.request("GET", "/hello"))
            #expect(try await client.answer(9).reset == 7)
            gate.continuation.finish()
        }
    }
}
