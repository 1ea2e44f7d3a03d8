import Base
import HTTP
import HTTPCodec
import Runtime
import Testing

/// Each thing that a client could make the server do for nothing ends with ENHANCE_YOUR_CALM, and with a count by its reason.
@Suite(.timeLimit(.minutes(1))) struct HTTP2AbuseTests {
    struct Flood: Sendable, CustomTestStringConvertible {
        let reason: String
        /// The frames of one round.
        let frames: @Sendable (UInt32) -> [UInt8]
        var testDescription: String { reason }
    }

    private static func open(_ id: UInt32, path: String = "/waits", ends: Bool = true) -> [UInt8] {
        let block = HTTP2TestClient.block(HTTP2TestClient.request("GET", path))
        return HTTP2TestClient.frame(1, flags: ends ? 5 : 4, stream: id, payload: block)
    }

    static let floods = [
        Flood(reason: "rapid-reset") { round in
            let id = 2 * round + 1
            return open(id) + HTTP2TestClient.frame(3, stream: id, payload: bytes(UInt32(round % 2 == 0 ? 8 : 0)))
        },
        // A window beyond 2^31 - 1 is a fault of the stream.
        Flood(reason: "faulty-streams") { round in
            let id = 2 * round + 1
            return open(id) + HTTP2TestClient.frame(8, stream: id, payload: bytes(UInt32(0x7FFF_FFFF)))
        },
        Flood(reason: "continuations") { round in
            let block = HTTP2TestClient.block(HTTP2TestClient.request("GET", "/waits"))
            return round == 0
                ? HTTP2TestClient.frame(1, stream: 1, payload: block) : HTTP2TestClient.frame(9, stream: 1, payload: [])
        },
        // A field of 4,000 bytes goes into the table; from then on each byte of a block stands for it.
        Flood(reason: "header-list") { round in
            let id = 2 * round + 1
            let request = HTTP2TestClient.block(HTTP2TestClient.request("GET", "/waits"))
            let field: [UInt8] = [0x40, 1, 0x78, 0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x61, count: 4_000)
            let block = request + field + [UInt8](repeating: 0xBE, count: 2_000)
            return HTTP2TestClient.frame(1, flags: 5, stream: id, payload: block)
        },
        Flood(reason: "settings") { _ in HTTP2TestClient.frame(4) },
        Flood(reason: "pings") { _ in HTTP2TestClient.frame(6, payload: [UInt8](repeating: 1, count: 8)) },
        Flood(reason: "empty-data") { round in
            (round == 0 ? open(1, ends: false) : []) + HTTP2TestClient.frame(0, stream: 1)
        },
        Flood(reason: "empty-data") { round in
            (round == 0 ? open(1, ends: false) : [])
                + HTTP2TestClient.frame(0, flags: 8, stream: 1, payload: [2, 0, 0])
        },
        Flood(reason: "window-updates") { _ in HTTP2TestClient.frame(8, payload: bytes(UInt32(1))) },
        Flood(reason: "priorities") { _ in HTTP2TestClient.frame(2, stream: 1, payload: [0, 0, 0, 0, 16]) },
    ]

    @Test(arguments: floods) func aFloodIsCutOff(_ flood: Flood) async throws {
        try await TestServer.run(routes: { routes in
            routes.on("GET", "/waits") { exchange, _ in try await exchange.loop.sleep(for: .seconds(60)) }
            routes.on("GET", "/hello") { exchange, _ in try await exchange.respond(HTTPResponse(status: 204)) }
        }) { server in
            try await server.onLoop { stream in
                let client = try await HTTP2TestClient(stream)
                let sender = server.loop.spawn {
                    for round in 0..<UInt32(2_000) {
                        do { try await stream.send(flood.frames(round)) } catch { return }
                    }
                }
                #expect(try await client.goAway()?.code == HTTP2TestClient.calmDown)
                await #expect(throws: (any Error).self) { while true { _ = try await client.next() } }
                stream.close()
                await sender.value
            }
            let expected = "skerry_http2_abuse_total{server=\"public\",reason=\"\(flood.reason)\"} 1"
            #expect(server.metrics.render().contains(expected), "\(server.metrics.render())")
            try await server.onLoop { stream in
                let other = try await HTTP2TestClient(stream)
                #expect(try await other.get(1, "/hello").status == 204)
            }
        }
    }

    /// What a client that works does often is no abuse.
    @Test func aBusyClientIsLeftAlone() async throws {
        try await TestServer.run(routes: { routes in
            routes.on("GET", "/hello") { exchange, _ in
                try await exchange.respond(HTTPResponse(status: 200), body: [1, 2, 3])
            }
        }) { server in
            try await server.onLoop { stream in
                let client = try await HTTP2TestClient(stream)
                for round in 0..<UInt32(1_500) {
                    let id = 2 * round + 1
                    #expect(try await client.get(id, "/hello").body == [1, 2, 3])
                    try await client.send(8, payload: bytes(UInt32(3)))
                    if round % 5 == 0 { try await client.send(3, stream: id, payload: bytes(UInt32(8))) }
                }
            }
            #expect(!server.metrics.render().contains(#/skerry_http2_abuse_total.* [1-9]/#))
        }
    }
}
