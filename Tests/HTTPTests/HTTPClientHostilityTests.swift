import Base
import HTTP
import HTTPCodec
import Runtime
import Synchronization
import Testing

/// What servers do that should not be, and what a client may be led to.
@Suite(.timeLimit(.minutes(1))) struct HTTPClientHostilityTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    private func kind(_ error: (any Error)?) -> EdgeError.Kind? { (error as? EdgeError)?.kind }

    private func expect(_ status: Int, of request: HTTPClientRequest, at server: HostileServer) async throws {
        let response = try await server.client.send(request)
        #expect(response.status == status)
    }

    @Test(
        arguments: [
            ("SSH-2.0-x\r\n\r\n", .corrupt), ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", .corrupt),
            ("HTTP/2.0 200 OK\r\n\r\n", .corrupt), ("HTTP/1.1 99 x\r\n\r\n", .corrupt),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .corrupt),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .corrupt),
            ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", .corrupt), ("", .closed), ("HTTP/1.1 200 OK\r\nX:", .closed),
        ] as [(String, EdgeError.Kind)])
    func brokenHeads(_ answer: String, _ expected: EdgeError.Kind) async throws {
        try await HostileServer.run { stream, _ in
            _ = try await stream.head()
            try await stream.send(text: answer)
        } _: { server in
            let error = await #expect(throws: EdgeError.self) {
                try await server.client.send(HTTPClientRequest("GET", server.url))
            }
            #expect(error?.kind == expected)
        }
    }

    @Test(arguments: ["HTTP/1.1 200 OK\r\n", "", "HTTP/1.1 100 Continue\r\n\r\n"])
    func headsWithoutEnd(_ first: String) async throws {
        try await HostileServer.run { stream, _ in
            try await stream.send(text: first)
            while true {
                try await stream.send(text: first.hasSuffix("\r\n\r\n") ? first : "X: yyyyyyyyyyyyyyyyyyyyyy\r\n")
            }
        } _: { server in
            let error = await #expect(throws: EdgeError.self) {
                try await server.client.send(HTTPClientRequest("GET", server.url))
            }
            #expect(error?.kind == .corrupt)
        }
    }

    @Test func brokenBodies() async throws {
        let bodies: [(String, EdgeError.Kind?)] = [
            ("Content-Length: 10\r\n\r\nshort", .closed), ("Transfer-Encoding: chunked\r\n\r\n5\r\nhel", .closed),
            ("Transfer-Encoding: chunked\r\n\r\nx\r\n", nil), ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello!", nil),
            ("Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", nil),
            ("Content-Length: 2000\r\n\r\n", .tooLarge),
            ("Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + String(repeating: "x", count: 2000), .tooLarge),
            ("\r\n" + String(repeating: "x", count: 2000), .tooLarge),
        ]
        for (body, expected) in bodies {
            try await HostileServer.run { stream, _ in
                _ = try await stream.head()
                try await stream.send(text: "HTTP/1.1 200 OK\r\n" + body)
            } _: { server in
                var request = HTTPClientRequest("GET", server.url)
                request.maxResponseBytes = 1000
                let response = try await server.client.send(request)
                do {
                    while try await response.read() != nil {}
                    Issue.record("\(body) is no whole body")
                } catch {
                    #expect(kind(error) == expected, "\(body)")
                    #expect(expected != nil || error is HTTPParsingError)
                }
            }
        }
    }

    @Test func slowServersMeetDeadlines() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.responseTimeoutMs = 100
        configuration.bodyTimeoutMs = 5000
        try await HostileServer.run(configuration) { stream, number in
            _ = try await stream.head()
            if number == 1 { try await stream.loop.sleep(for: .seconds(30)) }
            try await stream.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while true {
                try await stream.loop.sleep(for: .milliseconds(10))
                try await stream.send(text: "x")
            }
        } _: { server in
            var request = HTTPClientRequest("GET", server.url)
            let head = await #expect(throws: EdgeError.self) { try await server.client.send(request) }
            #expect(head?.kind == .timeout)
            // Each byte is in time; together they are not.
            request.totalTimeoutMs = 200
            let response = try await server.client.send(request)
            let body = await #expect(throws: EdgeError.self) { try await response.collect(upTo: 1000) }
            #expect(body?.kind == .timeout)
        }
    }

    /// The first connection takes one request and ends at the second: what may be repeated is, on a new one.
    @Test func aConnectionThatEndsUnderARequestIsReplaced() async throws {
        try await HostileServer.run { stream, number in
            while let head = try await stream.head() {
                if number == 1, head.contains("/again") { return }
                try await stream.send(text: Self.ok)
            }
        } _: { server in
            let first = try await server.client.send(HTTPClientRequest("GET", server.url))
            _ = try await first.collect(upTo: 10)
            let again = try await server.client.send(HTTPClientRequest("GET", server.url + "/again"))
            let answer = try await again.collect(upTo: 10)
            #expect(text(answer) == "ok")
            #expect(server.connections == 2)
            // Not on a connection that has been idle: whether it arrived would not be known.
            let post = HTTPClientRequest("POST", server.url, body: .bytes([1]))
            _ = try await server.client.send(post).collect(upTo: 10)
            #expect(server.connections == 3)
        }
    }

    /// What comes while nothing was asked is no answer to the next request.
    @Test func answersThatNobodyAskedForAreNobodys() async throws {
        let isPoisoned = AsyncStream.makeStream(of: Void.self)
        try await HostileServer.run { stream, number in
            while try await stream.head() != nil {
                try await stream.send(text: Self.ok)
                guard number == 1 else { continue }
                try await stream.loop.sleep(for: .milliseconds(50))
                try await stream.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
                isPoisoned.continuation.yield()
            }
        } _: { server in
            let first = try await server.client.send(HTTPClientRequest("GET", server.url))
            _ = try await first.collect(upTo: 10)
            for await _ in isPoisoned.stream { break }
            let second = try await server.client.send(HTTPClientRequest("GET", server.url))
            let body = try await second.collect(upTo: 10)
            #expect(text(body) == "ok")
            #expect(server.connections == 2)
        }
    }

    /// The connection is another protocol's behind it.
    @Test func aSwitchOfProtocolsThatNobodyAskedForIsNoAnswer() async throws {
        try await HostileServer.run { stream, _ in
            while try await stream.head() != nil {
                try await stream.send(text: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
            }
        } _: { server in
            let error = await #expect(throws: EdgeError.self) {
                try await server.client.send(HTTPClientRequest("GET", server.url))
            }
            #expect(error?.kind == .corrupt)
        }
    }

    @Test func thePoolIsBounded() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.maxConnectionsPerOrigin = 2
        configuration.maxQueuedRequests = 8
        let busy = Mutex((now: 0, most: 0))
        try await HostileServer.run(configuration) { stream, _ in
            while try await stream.head() != nil {
                busy.withLock {
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                try await stream.loop.sleep(for: .milliseconds(5))
                busy.withLock { $0.now -= 1 }
                try await stream.send(text: Self.ok)
            }
        } _: { server in
            let answers = await withTaskGroup { group in
                for _ in 0..<10 {
                    group.addTask {
                        try? await server.client.send(HTTPClientRequest("GET", server.url)).collect(upTo: 10)
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 == nil ? 0 : 1 }
            }
            #expect(answers == 10)
            #expect(busy.withLock { $0.most } == 2)
            #expect(server.connections == 2)
        }
    }

    @Test func whoWaitsForAConnectionWaitsWithinBounds() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.maxConnectionsPerOrigin = 1
        configuration.maxQueuedRequests = 1
        configuration.queueTimeoutMs = 200
        try await HostileServer.run(configuration) { stream, number in
            while try await stream.head() != nil {
                if number == 1 { try await stream.loop.sleep(for: .seconds(30)) }
                try await stream.send(text: Self.ok)
            }
        } _: { server in
            let request = HTTPClientRequest("GET", server.url)
            let first = Task { try await server.client.send(request) }
            while server.connections < 1 { try await Task.sleep(for: .milliseconds(2)) }
            let late = await #expect(throws: EdgeError.self) { try await server.client.send(request) }
            #expect(late?.kind == .timeout)
            let waiting = Task { try await server.client.send(request) }
            try await Task.sleep(for: .milliseconds(50))
            let refused = await #expect(throws: EdgeError.self) { try await server.client.send(request) }
            #expect(refused?.kind == .exhausted)
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            // Cancelling the one at work makes room for another.
            first.cancel()
            await #expect(throws: CancellationError.self) { try await first.value }
            try await expect(200, of: request, at: server)
        }
    }

    /// A task that is cancelled when its request is long over must not end the connection under the next one.
    @Test func lateCancellationHarmsNobody() async throws {
        try await HostileServer.run { stream, _ in
            while try await stream.head() != nil { try await stream.send(text: Self.ok) }
        } _: { server in
            let request = HTTPClientRequest("GET", server.url)
            for _ in 0..<200 {
                let first = Task { try await server.client.send(request).collect(upTo: 10) }
                let second = Task { try await server.client.send(request).collect(upTo: 10) }
                first.cancel()
                let answer = try await second.value
                #expect(text(answer) == "ok")
                _ = try? await first.value
            }
        }
    }

    @Test func cancellingTheReaderEndsTheConnection() async throws {
        let ended = Mutex(false)
        try await HostileServer.run { stream, _ in
            _ = try await stream.head()
            try await stream.send(text: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
            while (try? await stream.receive()) == true {}
            ended.withLock { $0 = true }
        } _: { server in
            let response = try await server.client.send(HTTPClientRequest("GET", server.url))
            let task = Task { try await response.collect(upTo: 1000) }
            try await Task.sleep(for: .milliseconds(20))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            while !ended.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(2)) }
        }
    }

    @Test(arguments: [
        "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "10.0.0.1", "0.0.0.0",
        "169.254.169.254",
    ])
    func addressesThatAreNotAllowedAreNotReached(_ host: String) async throws {
        var configuration = HTTPClient.Configuration()
        configuration.addresses = .internet()
        try await HostileServer.run(configuration) { stream, _ in
            _ = try await stream.head()
            try await stream.send(text: Self.ok)
        } _: { server in
            let error = await #expect(throws: EdgeError.self) {
                try await server.client.send(HTTPClientRequest("GET", "http://\(host):\(server.address.port)/"))
            }
            #expect(error?.kind == .forbidden)
            #expect(server.connections == 0)
        }
    }

    @Test func networksThatAreAllowedAreReached() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.addresses = .internet(and: [try #require(IPNetwork("127.0.0.0/8"))])
        try await HostileServer.run(configuration) { stream, _ in
            while let head = try await stream.head() {
                let location = head.contains("/away") ? "http://10.0.0.1/" : "/"
                try await stream.send(
                    text: head.contains("/ ")
                        ? Self.ok : "HTTP/1.1 302 Found\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n")
            }
        } _: { server in
            var request = HTTPClientRequest("GET", server.url + "/moved")
            try await expect(302, of: request, at: server)
            request.maxRedirects = 3
            try await expect(200, of: request, at: server)
            #expect(server.connections == 1)
            request.url = server.url + "/away"
            let error = await #expect(throws: EdgeError.self) { try await server.client.send(request) }
            #expect(error?.kind == .forbidden)
        }
    }

    @Test func redirectionsAreBoundedAndLeaveCredentialsBehind() async throws {
        let seen = Mutex<[String]>([])
        try await HostileServer.run { stream, _ in
            while let head = try await stream.head() {
                seen.withLock { $0.append(head.lowercased()) }
                try await stream.send(text: Self.ok)
            }
        } _: { other in
            try await HostileServer.run { stream, _ in
                while let head = try await stream.head() {
                    let location =
                        head.contains("/loop") ? "/loop" : head.contains("/307") ? "/x/../end" : other.url + "/end"
                    let status = head.contains("/307") ? 307 : 303
                    seen.withLock { $0.append(head.lowercased()) }
                    try await stream.send(
                        text: head.contains("/end")
                            ? Self.ok : "HTTP/1.1 \(status) Moved\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n"
                    )
                }
            } _: { server in
                var request = HTTPClientRequest(
                    "POST", server.url + "/away", fields: ["Authorization": "secret", "X": "y"], body: .bytes([65]))
                request.maxRedirects = 5
                try await expect(200, of: request, at: server)
                let heads = seen.withLock { $0 }
                #expect(heads.count == 2)
                #expect(heads.first?.contains("authorization: secret") == true)
                #expect(heads.last?.hasPrefix("get /end ") == true && heads.last?.contains("x: y") == true)
                #expect(heads.last?.contains("secret") == false && heads.last?.contains("content-length: 1") == false)
                request.url = server.url + "/307"
                try await expect(200, of: request, at: server)
                let last = seen.withLock { $0.last ?? "" }
                #expect(last.hasPrefix("post /end ") && last.contains("secret") && last.contains("content-length: 1"))
                request.url = server.url + "/loop"
                let error = await #expect(throws: EdgeError.self) { try await server.client.send(request) }
                #expect(error?.kind == .corrupt)
            }
        }
    }

    @Test func oldConnectionsServeNobody() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.maxConnectionAgeMs = 0
        try await HostileServer.run(configuration) { stream, _ in
            while try await stream.head() != nil { try await stream.send(text: Self.ok) }
        } _: { server in
            for _ in 0..<3 { _ = try await server.client.send(HTTPClientRequest("GET", server.url)).collect(upTo: 10) }
            #expect(server.connections == 3)
        }
    }

    @Test func trailersAreThereAtTheEnd() async throws {
        try await HostileServer.run { stream, _ in
            _ = try await stream.head()
            try await stream.send(
                text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")
        } _: { server in
            let response = try await server.client.send(HTTPClientRequest("GET", server.url))
            let answer = try await response.collect(upTo: 10)
            #expect(text(answer) == "ok")
            #expect(try await response.trailers() == ["X-Sum": "7"])
        }
    }
}
