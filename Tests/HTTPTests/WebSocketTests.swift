import Base
import HTTP
import HTTPCodec
import Runtime
import Synchronization
import Testing
import WebSocketCodec

@Suite(.timeLimit(.minutes(1))) struct WebSocketTests {
    /// Sends back what comes, until "close" or "flood".
    private func echo(_ webSocket: WebSocket) async throws {
        while let message = try await webSocket.receive() {
            switch message {
            case .text("close"): await webSocket.close(code: 4401, reason: "bye")
            case .text("flood"):
                let piece = [UInt8](repeating: 0, count: 100_000)
                while webSocket.offer(binary: piece) {}
            case .text(let text): try await webSocket.send(text: text)
            case .binary(let bytes): try await webSocket.send(binary: bytes)
            }
        }
    }

    private func routes(_ closeCodes: Recorder<UInt16?>) -> (inout HTTPRoutes) -> Void {
        { routes in
            routes.on("GET", "/echo") { exchange, _ in
                try await exchange.upgradeToWebSocket(
                    subprotocol: exchange.offeredSubprotocols.first { $0 == "b" }, maxMessageBytes: 1_000_000
                ) { webSocket in
                    try await self.echo(webSocket)
                    closeCodes.add(webSocket.closeCode)
                }
            }
            routes.on("GET", "/deaf") { exchange, _ in
                try await exchange.upgradeToWebSocket(subprotocol: nil, maxMessageBytes: 100) { webSocket in
                    try await webSocket.loop.sleep(for: .seconds(1))
                    await webSocket.close()
                }
            }
            routes.on("GET", "/leave") { exchange, _ in
                try await exchange.upgradeToWebSocket(subprotocol: nil, maxMessageBytes: 100) { _ in }
            }
            routes.on("GET", "/fail") { exchange, _ in
                try await exchange.upgradeToWebSocket(subprotocol: nil, maxMessageBytes: 100) { _ in
                    throw EdgeError(.io, "no disk", side: .internal)
                }
            }
        }
    }

    private func url(_ server: TestServer, _ path: String = "/echo") -> String { "ws://\(server.address)\(path)" }

    @Test func messagesGoBothWays() async throws {
        let codes = Recorder<UInt16?>()
        try await TestServer.run(routes: routes(codes)) { server in
            let webSocket = try await server.client.webSocket(url: url(server), subprotocols: ["a", "b"])
            #expect(webSocket.subprotocol == "b")
            for message in [
                WebSocketMessage.text("Grüße"), .binary([]), .binary([UInt8](repeating: 9, count: 500_000)), .text(""),
            ] {
                switch message {
                case .text(let text): try await webSocket.send(text: text)
                case .binary(let bytes): try await webSocket.send(binary: bytes)
                }
                #expect(try await webSocket.receive() == message)
            }
            await webSocket.close(code: 4000, reason: "done")
            #expect(try await webSocket.receive() == nil)
            #expect(webSocket.closeCode == 4000)
            await #expect(throws: EdgeError.self) { try await webSocket.send(text: "late") }
            #expect(await codes.next() == 4000)
        }
    }

    @Test func manyTasksSend() async throws {
        try await TestServer.run(routes: routes(Recorder())) { server in
            let webSocket = try await server.client.webSocket(url: url(server))
            let received = Task {
                var texts: Set<String> = []
                while texts.count < 1000, case .text(let text)? = try await webSocket.receive() { texts.insert(text) }
                return texts.count
            }
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<20 {
                    group.addTask { for index in 0..<50 { try? await webSocket.send(text: "\(task) \(index)") } }
                }
            }
            #expect(try await received.value == 1000)
            await webSocket.close()
        }
    }

    @Test func theServerCloses() async throws {
        let codes = Recorder<UInt16?>()
        try await TestServer.run(routes: routes(codes)) { server in
            let webSocket = try await server.client.webSocket(url: url(server))
            try await webSocket.send(text: "close")
            #expect(try await webSocket.receive() == nil)
            #expect(webSocket.closeCode == 4401 && webSocket.closeReason == "bye")
            #expect(await codes.next() == 4401)
            let left = try await server.client.webSocket(url: url(server, "/leave"))
            #expect(try await left.receive() == nil)
            #expect(left.closeCode == 1000)
            let failed = try await server.client.webSocket(url: url(server, "/fail"))
            #expect(try await failed.receive() == nil)
            #expect(failed.closeCode == 1011)
        }
    }

    @Test func aMessageTooLargeIsRefused() async throws {
        let codes = Recorder<UInt16?>()
        try await TestServer.run(routes: routes(codes)) { server in
            let webSocket = try await server.client.webSocket(url: url(server))
            try await webSocket.send(binary: [UInt8](repeating: 0, count: 1_000_001))
            #expect(try await webSocket.receive() == nil)
            #expect(webSocket.closeCode == 4413)
            #expect(await codes.next() == 4413)
        }
    }

    @Test func aPeerThatDoesNotReadIsClosed() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.webSocket.closeTimeoutMs = 200
        let codes = Recorder<UInt16?>()
        try await TestServer.run(configuration, routes: routes(codes)) { server in
            let webSocket = try await server.client.webSocket(url: url(server))
            try await webSocket.send(text: "flood")
            #expect(await codes.next() == 4408)
            await webSocket.close()
        }
    }

    @Test func receivingEndsWhileAnotherTaskCloses() async throws {
        try await TestServer.run(routes: routes(Recorder())) { server in
            // The server does not answer the close frame yet, so the closing task is still waiting for it.
            let webSocket = try await server.client.webSocket(url: url(server, "/deaf"))
            let closing = Task { await webSocket.close(code: 4000, reason: "done") }
            while webSocket.closeCode == nil { await Task.yield() }
            try await Task.sleep(for: .milliseconds(100))
            #expect(try await webSocket.receive() == nil)
            #expect(webSocket.closeCode == 4000)
            await closing.value
        }
    }

    @Test func aLostConnectionIsNoticed() async throws {
        let codes = Recorder<UInt16?>()
        try await TestServer.run(routes: routes(codes)) { server in
            let webSocket = try await server.client.webSocket(url: url(server))
            let reader = Task { try await webSocket.receive() }
            reader.cancel()
            #expect(try await reader.value == nil)
            #expect(webSocket.closeCode == 1006)
            #expect(await codes.next() == 1006)
        }
    }

    @Test func aSilentPeerIsPingedAndGivenUp() async throws {
        var configuration = HTTPServer.Configuration()
        configuration.webSocket.pingIntervalMs = 300
        configuration.webSocket.pongTimeoutMs = 1500
        let codes = Recorder<UInt16?>()
        try await TestServer.run(configuration, routes: routes(codes)) { server in
            // One that answers pings stays.
            let webSocket = try await server.client.webSocket(url: url(server))
            let reader = Task { try await webSocket.receive() }
            // One that does not goes.
            let request =
                "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            let silent = try await server.onLoop { stream in
                try await stream.send(Array(request.utf8))
                while (try? await stream.receive()) == true {}
                return stream.inbound.take(stream.inbound.count)
            }
            #expect(text(silent).contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
            #expect(silent.suffix(2) == [0x89, 0])
            #expect(await codes.next() == 1006)
            try await webSocket.send(text: "here")
            #expect(try await reader.value == .text("here"))
            await webSocket.close()
        }
    }

    @Test(arguments: [
        ("GET /echo HTTP/1.1\r\nHost: a\r\n", 426),
        ("GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n", 426),
        (
            "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 426
        ),
        (
            "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: short\r\n", 400
        ),
    ])
    func otherHandshakesAreRefused(_ request: String, _ status: Int) async throws {
        try await TestServer.run(routes: routes(Recorder())) { server in
            let answer = try await server.exchange(request + "Connection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        }
    }

    @Test func aRefusalReachesTheClient() async throws {
        try await TestServer.run(routes: routes(Recorder())) { server in
            let refusal = await #expect(throws: WebSocketRefusal.self) {
                try await server.client.webSocket(url: url(server, "/nothing"))
            }
            #expect(refusal?.status == 404)
            let body = text(refusal?.body ?? [])
            #expect(body.contains("\"status\":404"))
        }
    }
}

/// Values that come in one place and are waited for in another.
final class Recorder<Value: Sendable>: Sendable {
    private let state = Mutex<(values: [Value], waiters: [CheckedContinuation<Value, Never>])>(([], []))

    func add(_ value: Value) {
        let waiter = state.withLock { state in
            if state.waiters.isEmpty {
                state.values.append(value)
                return CheckedContinuation<Value, Never>?.none
            }
            return state.waiters.removeFirst()
        }
        waiter?.resume(returning: value)
    }

    func next() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state in
                if state.values.isEmpty {
                    state.waiters.append(continuation)
                    return Value?.none
                }
                return state.values.removeFirst()
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
