import Base
import Crypto
import HTTP
import HTTPCodec
import Runtime
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
    private func routes(_ routes: inout HTTPRoutes) {
        routes.on("GET", "/port") { exchange, _ in
            try await exchange.respond(HTTPResponse(status: 200), body: Array("\(exchange.remoteAddress.port)".utf8))
        }
        routes.on("PUT", "/length") { exchange, _ in
            var count = 0
            exchange.body.maxBytes = .max
            while let piece = try await exchange.body.read() { count += piece.count }
            try await exchange.respond(HTTPResponse(status: 200), body: Array("\(count)".utf8))
        }
        routes.on("PUT", "/pieces") { exchange, _ in
            var sizes: [Int] = []
            while let piece = try await exchange.body.read(atLeast: 65_536, upTo: 65_536) { sizes.append(piece.count) }
            try await exchange.respond(HTTPResponse(status: 200), body: Array("\(sizes)".utf8))
        }
        routes.on("PUT", "/refused") { exchange, _ in
            try await exchange.respond(HTTPResponse(status: 413), body: Array("too much".utf8))
        }
        routes.on("GET", "/large/:count") { exchange, parameters in
            let count = Int(parameters["count"]) ?? 0
            try await exchange.start(HTTPResponse(status: 200, fields: ["Content-Length": "\(count)"]))
            let piece = [UInt8](repeating: 7, count: 100_000)
            var left = count
            while left > 0 {
                try await exchange.write(left >= piece.count ? piece : Array(piece[..<left]))
                left -= min(left, piece.count)
            }
            try await exchange.end()
        }
        routes.on("GET", "/never") { exchange, _ in try await exchange.loop.sleep(for: .seconds(4)) }
    }

    private func body(_ client: HTTPClient, _ request: HTTPClientRequest) async throws -> String {
        text(try await client.send(request).collect(upTo: 1_000_000))
    }

    @Test func connectionsAreKept() async throws {
        try await TestServer.run(routes: routes) { server in
            let request = HTTPClientRequest("GET", server.url + "/port")
            let first = try await body(server.client, request)
            #expect(try await body(server.client, request) == first)
            // One that was not read to its end is not used again.
            _ = try await server.client.send(HTTPClientRequest("GET", server.url + "/large/1000000"))
            #expect(try await body(server.client, request) != first)
        }
    }

    @Test func anIdleConnectionThatTheServerClosedIsReplaced() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.idleTimeoutMs = 50
        try await TestServer.run(configuration, routes: routes) { server in
            let request = HTTPClientRequest("GET", server.url + "/port")
            let first = try await body(server.client, request)
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await body(server.client, request) != first)
        }
    }

    @Test(arguments: [true, false])
    func bodiesStreamUp(isDeclared: Bool) async throws {
        try await TestServer.run(routes: routes) { server in
            let left = Mutex(300)
            let source: @Sendable () async throws -> [UInt8]? = {
                left.withLock { left in
                    if left == 0 { return nil }
                    left -= 1
                    return [UInt8](repeating: 1, count: 10_000)
                }
            }
            let request = HTTPClientRequest(
                "PUT", server.url + "/length", body: .stream(length: isDeclared ? 3_000_000 : nil, next: source))
            let answer = try await body(server.client, request)
            #expect(answer == "3000000")
        }
    }

    @Test func aHandlerGetsThePiecesThatItAsksFor() async throws {
        try await TestServer.run(routes: routes) { server in
            let request = HTTPClientRequest(
                "PUT", server.url + "/pieces", body: .bytes([UInt8](repeating: 1, count: 200_000)))
            let answer = try await body(server.client, request)
            #expect(answer == "[65536, 65536, 65536, 3392]")
        }
    }

    @Test func anEarlyAnswerEndsTheUpload() async throws {
        try await TestServer.run(routes: routes) { server in
            let sent = Mutex(0)
            let request = HTTPClientRequest(
                "PUT", server.url + "/refused",
                body: .stream(length: 1 << 40) {
                    sent.withLock { $0 += 65_536 }
                    return [UInt8](repeating: 1, count: 65_536)
                })
            let response = try await server.client.send(request)
            #expect(response.status == 413)
            #expect(text(try await response.collect(upTo: 100)) == "too much")
            #expect(sent.withLock { $0 } < 1 << 30)
        }
    }

    @Test func aFailingSourceFailsTheRequest() async throws {
        struct Broken: Error {}
        try await TestServer.run(routes: routes) { server in
            let request = HTTPClientRequest(
                "PUT", server.url + "/length", body: .stream(length: 10) { throw Broken() })
            await #expect(throws: Broken.self) { try await server.client.send(request) }
            let short = HTTPClientRequest("PUT", server.url + "/length", body: .stream(length: 10) { nil })
            await #expect(throws: EdgeError.self) { try await server.client.send(short) }
        }
    }

    @Test func largeAnswersComeInPieces() async throws {
        try await TestServer.run(routes: routes) { server in
            let response = try await server.client.send(HTTPClientRequest("GET", server.url + "/large/5000000"))
            #expect(response.length == 5_000_000)
            var count = 0
            while let piece = try await response.read() { count += piece.count }
            #expect(count == 5_000_000)
            let bounded = try await server.client.send(HTTPClientRequest("GET", server.url + "/large/5000000"))
            let error = await #expect(throws: EdgeError.self) { try await bounded.collect(upTo: 1000) }
            #expect(error?.kind == .tooLarge)
        }
    }

    @Test func deadlinesAndCancellationEndARequest() async throws {
        try await TestServer.run(routes: routes) { server in
            let request = HTTPClientRequest("GET", server.url + "/never", responseTimeoutMs: 50)
            let error = await #expect(throws: EdgeError.self) { try await server.client.send(request) }
            #expect(error?.kind == .timeout)
            let task = Task { try await server.client.send(HTTPClientRequest("GET", server.url + "/never")) }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test func nobodyListens() async throws {
        try await TestServer.run(routes: routes) { server in
            let error = await #expect(throws: EdgeError.self) {
                try await server.client.send(HTTPClientRequest("GET", "http://127.0.0.1:1/"))
            }
            #expect(error?.kind == .unavailable)
        }
    }

    @Test(
        arguments: [
            ("http://a/b?c=d#e", "a", 80, "/b?c=d", "a"), ("https://a", "a", 443, "/", "a"),
            ("ws://a:81?x", "a", 81, "/?x", "a:81"), ("https://[::1]:8/", "::1", 8, "/", "[::1]:8"),
        ] as [(String, String, UInt16, String, String)])
    func urls(_ text: String, _ host: String, _ port: UInt16, _ target: String, _ authority: String) throws {
        let url = try #require(HTTPURL(text))
        #expect(url.host == host && url.port == port && url.target == target && url.authority == authority)
    }

    @Test(arguments: [
        "a", "ftp://a", "http://", "http://u@a/", "http://a:b/", "http://a:70000/", "http://a/ b", "http://[a]/",
        "http://1:2:3:4:5:6:7:8/", "http://::1:80/",
    ])
    func otherURLsAreRefused(_ text: String) {
        #expect(HTTPURL(text) == nil)
    }

    @Test func oneListenerServesTLSPlainAndOtherProtocols() async throws {
        let now = WallClock.now()
        let (authorityPEM, authorityKey) = CertificateAuthority.generate(name: "test", now: now)
        let authority = try CertificateAuthority(certificatePEM: authorityPEM, privateKeyPEM: authorityKey)
        let (request, key) = CertificateRequest.generate(commonName: "server")
        let names = CertificateNames(uri: "skerry://test/a/b", dnsNames: ["localhost"], ipAddresses: [.loopbackV4])
        let certificate = try authority.sign(requestPEM: request, names: names, now: now, validity: .seconds(3600))
        let serverTLS = try TLSContext.server(
            certificatePEM: certificate, privateKeyPEM: key, protocols: ["echo/1", "http/1.1"])
        let clientTLS = try TLSContext.client(trustPEM: authority.certificatePEM, protocols: ["http/1.1"])
        let echoTLS = try TLSContext.client(trustPEM: authority.certificatePEM, protocols: ["echo/1"])
        try await TestServer.run(
            tls: serverTLS, clientTLS: clientTLS,
            protocols: [
                "echo/1": { stream in
                    while (try? await stream.receive()) == true {
                        try? await stream.send(stream.inbound.take(stream.inbound.count))
                    }
                    stream.close()
                }
            ]
        ) { routes in
            routes.on("GET", "/secure") { exchange, _ in
                try await exchange.respond(HTTPResponse(status: 200), body: Array("\(exchange.isSecure)".utf8))
            }
        } _: { server in
            #expect(try await body(server.client, HTTPClientRequest("GET", server.url + "/secure")) == "false")
            let secure = "https://localhost:\(server.address.port)/secure"
            #expect(try await body(server.client, HTTPClientRequest("GET", secure)) == "true")
            let echoed = try await server.onLoop { stream in
                try await stream.startTLS(echoTLS, serverName: "localhost")
                try await stream.send([1, 2, 3])
                while stream.inbound.count < 3 { guard try await stream.receive() else { break } }
                return stream.inbound.take(stream.inbound.count)
            }
            #expect(echoed == [1, 2, 3])
            // Not the name in the certificate.
            await #expect(throws: EdgeError.self) {
                try await server.client.send(
                    HTTPClientRequest("GET", "https://127.0.0.2:\(server.address.port)/secure"))
            }
        }
    }
}
