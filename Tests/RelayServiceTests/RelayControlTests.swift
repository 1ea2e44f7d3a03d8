import Base
import HTTP
import JSONCodec
import Runtime
import Synchronization
import TURNTesting
import Testing

@testable import RelayService

/// What an operator sees and does: sessions, kicking, draining, and the log of allocations.
@Suite(.timeLimit(.minutes(1))) struct RelayControlTests {
    private func client(_ relay: RunningRelay, _ user: UserAddress? = RunningRelay.user) throws -> BlockingTURNClient {
        let credentials = relay.service.iceServers(for: try #require(user), now: WallClock.now())
        return try BlockingTURNClient(
            server: relay.service.listenAddresses[0], username: credentials.username, password: credentials.credential)
    }

    private func user(_ tenant: String, _ name: String) throws -> UserAddress {
        let tenant = try #require(Tenant(tenant))
        return try #require(UserAddress(tenant: tenant, user: name))
    }

    /// Sends a request to the relay's routes over a control socket of the test.
    private func ask(
        _ relay: RunningRelay, _ method: String, _ target: String, _ body: String? = nil
    ) async throws -> (status: Int, json: JSONValue) {
        var routes = HTTPRoutes()
        relay.service.addControlRoutes(to: &routes)
        let logger = Logger(label: "test", sink: SilentLogSink())
        let server = HTTPServer(
            configuration: HTTPServer.Configuration(), routes: routes, logger: logger, metrics: MetricsRegistry(),
            name: "control")
        let path = "/tmp/skerry-relay-control-\(UUID.v7(at: WallTime(seconds: 0))).sock"
        let listener = try UnixListener.listen(at: path, loop: relay.loops.loops[0]) { stream in
            stream.loop.spawn { await server.serve(stream) }
        }
        defer { listener.close() }
        var configuration = HTTPClient.Configuration()
        configuration.unixSocketPath = path
        let client = HTTPClient(loop: relay.loops.loops[0], configuration: configuration)
        let response = try await client.send(
            HTTPClientRequest(method, "http://node\(target)", body: body.map { .bytes(Array($0.utf8)) } ?? .none))
        let json = try JSONValue.parse(try await response.collect(upTo: 1 << 20))
        await client.close()
        return (response.status, json)
    }

    @Test func `sessions tell who relays what to whom`() async throws {
        try await withRelay { relay in
            let client = try self.client(relay)
            let peer = try LoopbackSocket()
            let relayed = try client.allocate()
            try peer.connect(to: relayed)
            try client.createPermission(for: peer.localAddress)
            try client.bindChannel(0x4000, to: peer.localAddress)
            try client.socket.send([0x40, 0, 0, 3, 1, 2, 3])
            #expect(peer.receive() == [1, 2, 3])
            try peer.send([4, 5])
            #expect(client.socket.receiveRelayed() == [0x40, 0, 0, 2, 4, 5])

            let answer = try await ask(relay, "GET", "/relay/sessions?user=alice")
            #expect(answer.status == 200 && answer.json["allocations"]?.int == 1)
            let session = try #require(answer.json["sessions"]?[0])
            #expect(session["tenant"]?.string == "default" && session["user"]?.string == "alice")
            #expect(session["client"]?.string == "\(client.socket.localAddress)")
            #expect(session["server"]?.string == "\(relay.service.listenAddresses[0])")
            #expect(session["transport"]?.string == "udp")
            #expect(session["relayed"] == [.string("\(relayed)")])
            #expect((1...600).contains(session["expires_in_s"]?.int ?? 0))
            let counts = [
                "permissions", "channels", "packets_to_peers", "bytes_to_peers", "packets_to_client", "bytes_to_client",
            ].map { session[$0]?.int }
            #expect(counts == [1, 1, 1, 3, 1, 2])
        }
    }

    @Test func `sessions are those of a user or a tenant, and no more than asked for`() async throws {
        try await withRelay { relay in
            let users = [try user("acme", "alice"), try user("acme", "bob"), try user("default", "alice")]
            let clients = try users.map { try self.client(relay, $0) }
            for client in clients { _ = try client.allocate() }
            for (query, count) in [
                ("", 3), ("?limit=2", 2), ("?tenant=acme", 2), ("?user=alice", 1), ("?tenant=acme&user=bob", 1),
                ("?tenant=other", 0),
            ] {
                let answer = try await ask(relay, "GET", "/relay/sessions\(query)")
                #expect(answer.json["sessions"]?.array?.count == count, "\(query)")
                #expect(answer.json["allocations"]?.int == 3)
            }
            for query in ["?limit=0", "?limit=x", "?limit=1000000", "?tenant=a%2Fb", "?user="] {
                #expect(try await ask(relay, "GET", "/relay/sessions\(query)").status == 400, "\(query)")
            }
        }
    }

    @Test func `who is kicked has no allocation any more`() async throws {
        try await withRelay { relay in
            let users = [try user("acme", "alice"), try user("acme", "bob"), try user("default", "alice")]
            let clients = try users.map { try self.client(relay, $0) }
            let relayed = try clients.map { try $0.allocate() }
            let peer = try LoopbackSocket()
            let listed = try await ask(relay, "GET", "/relay/sessions?user=alice")
            let name = try #require(listed.json["sessions"]?[0]?["session"]?.string)

            #expect(try await ask(relay, "POST", "/relay/kick", "{\"session\":\"\(name)\"}").json["ended"]?.int == 1)
            #expect(relay.service.allocationCount == 2)
            #expect(try await ask(relay, "POST", "/relay/kick", "{\"session\":\"\(name)\"}").status == 404)
            #expect(throws: BlockingTURNClient.Refused.self) {
                try clients[2].createPermission(for: peer.localAddress)
            }
            // Its port is free, and its user may come back.
            _ = try LoopbackSocket(port: relayed[2].port)
            _ = try clients[2].allocate()

            let body = "{\"tenant\":\"acme\",\"user\":\"bob\"}"
            #expect(try await ask(relay, "POST", "/relay/kick", body).json["ended"]?.int == 1)
            #expect(try await ask(relay, "POST", "/relay/kick", "{\"tenant\":\"acme\"}").json["ended"]?.int == 1)
            try clients[2].createPermission(for: peer.localAddress)
            #expect(relay.service.allocationCount == 1)
            for body in ["", "{}", "[]", "{\"session\":\"x\"}", "{\"tenant\":\"a b\"}", "{\"user\":\"\"}"] {
                #expect(try await ask(relay, "POST", "/relay/kick", body).status == 400, "\(body)")
            }
            #expect(try await ask(relay, "POST", "/relay/kick", "{\"session\":\"200.1.1\"}").status == 404)
        }
    }

    @Test func `a drain lets live allocations go on, and can be undone`() async throws {
        try await withRelay(loopCount: 1) { relay in
            let (early, late) = (try client(relay), try client(relay))
            _ = try early.allocate()
            let answer = try await ask(relay, "POST", "/drain")
            #expect(answer.json == ["draining": true, "allocations": 1])
            #expect(relay.service.isDraining)
            #expect(throws: BlockingTURNClient.Refused.self) { try late.allocate() }
            try early.createPermission(for: SocketAddress(.loopbackV4, port: 9))
            #expect(try await ask(relay, "GET", "/drain").json["draining"] == true)
            #expect(try await ask(relay, "DELETE", "/drain").json["draining"] == false)
            _ = try late.allocate()
        }
    }

    @Test func `allocations are logged with their totals, and their end with its reason`() async throws {
        let log = LogCollector()
        try await withRelay(loopCount: 1, log: log) { relay in
            let client = try self.client(relay)
            let peer = try LoopbackSocket()
            let relayed = try client.allocate()
            try peer.connect(to: relayed)
            try client.createPermission(for: peer.localAddress)
            try peer.send([1, 2, 3])
            _ = client.socket.receiveRelayed()
            _ = await relay.service.kick(.all)

            let records = log.records.withLock { $0.filter { $0.label == "relay-audit" } }
            #expect(records.map(\.message) == ["allocation opened", "allocation closed"])
            let opened = Dictionary(
                uniqueKeysWithValues: try #require(records.first).metadata.map { ($0.key, $0.value) })
            #expect(opened["user"] == "alice" && opened["tenant"] == "default" && opened["relayed"] == "\(relayed)")
            #expect(opened["client"] == "\(client.socket.localAddress)" && opened["transport"] == "udp")
            let closed = Dictionary(
                uniqueKeysWithValues: try #require(records.last).metadata.map { ($0.key, $0.value) })
            #expect(
                closed["session"] == opened["session"] && closed["reason"] == "revoked"
                    && closed["relayed"] == opened["relayed"])
            #expect(closed["packets_to_client"] == "1" && closed["bytes_to_client"] == "3")
            #expect(closed["packets_to_peers"] == "0" && closed["bytes_to_peers"] == "0")
        }
    }

    @Test func `the log of allocations is bounded`() {
        let log = LogCollector()
        let metrics = MetricsRegistry()
        let audit = RelayAudit(maxRecordsPerSecond: 3, logger: Logger(label: "audit", sink: log), metrics: metrics)
        for second in [1, 2] as [UInt64] {
            for step in 0..<5 as Range<UInt64> {
                audit.write("event", now: MonotonicInstant(nanoseconds: second * 1_000_000_000 + step))
            }
        }
        let messages = log.records.withLock { $0.map(\.message) }
        #expect(messages == ["event", "event", "event", "audit records were left out", "event", "event", "event"])
        #expect(log.records.withLock { $0[3].metadata.first?.value } == "2")
        #expect(metrics.render().contains("skerry_relay_audit_dropped_total 4\n"))
    }
}

/// Keeps what is logged.
final class LogCollector: LogSink {
    let records = Mutex<[LogRecord]>([])

    func write(_ record: LogRecord) { records.withLock { $0.append(record) } }
}
