import Base
import Runtime
import Synchronization
import Testing
import Wire

@testable import UplinkService

@Suite(.timeLimit(.minutes(1))) struct UplinkTests {
    private let loops: EventLoopGroup
    private var loop: EventLoop { loops.loops[0] }
    private let cluster: Cluster
    private let media = MediaID(bytes: Array(repeating: 7, count: 32))!

    init() throws {
        loops = try EventLoopGroup(count: 2, name: "test")
        cluster = try Cluster()
    }

    @Test func requestsAreAnsweredAndFailuresThrown() async throws {
        let handler = RecordingHandler(answer: { request in
            guard case .mediaRelease(let release) = request else { return .ok }
            return .failed(UplinkFailure(.notFound, "no such media: \(release.token)"))
        })
        let central = try TestCentral(cluster, handler: handler, loop: loops.loops[1])
        defer { central.stop() }
        let client = makeClient(central.address, try cluster.clientContext(node: "edge-1"), loop: loop)
        try await running(client) {
            try await until { client.isConnected }
            try await client.grantMedia(MediaGrant(token: "t", media: media, users: ["bob"]))
            await #expect {
                try await client.releaseMedia(MediaRelease(token: "t", media: self.media))
            } throws: { error in
                (error as? EdgeError)?.kind == .notFound && "\(error)".contains("no such media: t")
            }
            let identity = handler.seen.withLock { $0.up.first?.identity }
            #expect(identity?.uri == "skerry://test/eu/edge-1")
            #expect(client.edges.map(\.name) == ["edge-1"])
        }
        try await until { handler.seen.withLock { $0.down.count == 1 } }
    }

    @Test func theCentralsClockIsKnownWithinItsUncertainty() async throws {
        let central = try TestCentral(cluster, handler: RecordingHandler(), loop: loops.loops[1])
        defer { central.stop() }
        let client = makeClient(central.address, try cluster.clientContext(node: "edge-1"), loop: loop) {
            $0.pingIntervalMs = 10
        }
        #expect(client.clock.reading == nil)
        try await running(client) {
            try await until { client.clock.reading(within: .milliseconds(50)) != nil }
            let reading = try #require(client.clock.reading)
            let error = abs((reading.time - WallClock.now()).milliseconds)
            #expect(error <= reading.uncertainty.milliseconds + 3)
        }
    }

    @Test func aNodeOfAnotherClusterOrNoneIsRefused() async throws {
        let handler = RecordingHandler()
        let central = try TestCentral(cluster, handler: handler, loop: loops.loops[1])
        defer { central.stop() }
        let strangers: [TLSContext] = [
            // Signed by another authority; named for another cluster; a central's name; a name that is no edge's.
            try {
                let other = try Cluster("test")
                let own = try other.certify("skerry://test/eu/edge-1")
                return try UplinkClient.tlsContext(
                    cluster: "test", authorityPEM: cluster.authorityPEM, certificatePEM: own.certificatePEM,
                    privateKeyPEM: own.privateKeyPEM)
            }(),
            try cluster.clientContext(node: "edge-1", of: "other"),
            try cluster.clientContext(region: "central", node: "edge-1"),
            try TLSContext.client(
                trustPEM: cluster.authorityPEM, protocols: [UplinkProtocol.applicationProtocol],
                expectedURIPrefix: "skerry://test/central/"),
        ]
        for stranger in strangers {
            let sink = CollectingSink()
            let client = makeClient(central.address, stranger, loop: loop, sink: sink)
            try await running(client) {
                try await until { sink.contains("the central cannot be reached") }
                #expect(!client.isConnected)
            }
        }
        #expect(handler.seen.withLock { $0.up.isEmpty })
    }

    @Test func theHelloMustSayWhatTheCertificateSays() async throws {
        let central = try TestCentral(cluster, handler: RecordingHandler(), loop: loops.loops[1])
        defer { central.stop() }
        let sink = CollectingSink()
        let client = makeClient(
            central.address, try cluster.clientContext(node: "edge-1"), loop: loop, node: "edge-2", sink: sink)
        try await running(client) {
            try await until { sink.contains("the hello says eu/edge-2, the certificate eu/edge-1") }
            #expect(!client.isConnected)
        }
    }

    @Test func aCentralThatIsAnEdgeIsNotBelieved() async throws {
        let own = try cluster.certify("skerry://test/eu/edge-9")
        let tls = try TLSContext.server(
            certificatePEM: own.certificatePEM, privateKeyPEM: own.privateKeyPEM,
            protocols: [UplinkProtocol.applicationProtocol])
        let listener = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: [loops.loops[1]]) {
            stream in
            stream.loop.spawn {
                try? await stream.startTLS(tls)
                _ = try? await stream.receive()
                stream.close()
            }
        }
        defer { listener.close() }
        let sink = CollectingSink()
        let client = makeClient(
            listener.localAddress, try cluster.clientContext(node: "edge-1"), loop: loop, sink: sink)
        try await running(client) {
            try await until { sink.contains("the central cannot be reached") }
            #expect(!client.isConnected)
        }
    }

    @Test func aVersionThatIsNotSpokenIsRefusedWithTheAllowedOnes() async throws {
        let central = try TestCentral(
            cluster, handler: RecordingHandler(), loop: loops.loops[1], acceptedVersions: [3, 2])
        defer { central.stop() }
        let tls = try cluster.clientContext(node: "edge-1")
        let sink = CollectingSink()
        let old = makeClient(central.address, tls, loop: loop, versions: [1], sink: sink)
        try await running(old) {
            try await until { sink.contains("the edge speaks uplink versions 1; allowed: 3, 2") }
        }
        for versions in [[2, 1], [3], [4, 3]] as [[UInt32]] {
            let client = makeClient(central.address, tls, loop: loop, versions: versions)
            try await running(client) { try await until { client.isConnected } }
        }
    }

    @Test func aRequestWithoutLinkFailsAtOnceAndOneOfALostLinkWithIt() async throws {
        let handler = RecordingHandler(answer: { _ in
            try? await Task.sleep(for: .seconds(30))
            return .ok
        })
        let central = try TestCentral(cluster, handler: handler, loop: loops.loops[1])
        let client = makeClient(central.address, try cluster.clientContext(node: "edge-1"), loop: loop)
        let release = UplinkRequest.mediaRelease(MediaRelease(token: "t", media: media))
        await #expect {
            _ = try await client.request(release, timeout: nil)
        } throws: { error in
            (error as? EdgeError)?.kind == .unavailable
        }
        #expect(!client.send(.mediaHold(object: UUID(high: 1, low: 1), holds: true)))
        try await running(client) {
            try await until { client.isConnected }
            async let failed = #expect {
                _ = try await client.request(release, timeout: nil)
            } throws: { error in
                (error as? EdgeError)?.kind == .unavailable
            }
            await #expect {
                _ = try await client.request(release, timeout: .milliseconds(150))
            } throws: { error in
                (error as? EdgeError)?.kind == .timeout
            }
            central.stop()
            _ = await failed
        }
    }

    @Test func theLinkComesBackAfterTheCentral() async throws {
        let tls = try cluster.clientContext(node: "edge-1")
        var central = try TestCentral(cluster, handler: RecordingHandler(), loop: loops.loops[1])
        let address = central.address
        let events = Mutex<[UplinkEvent]>([])
        let client = makeClient(address, tls, loop: loop)
        client.observe { event in events.withLock { $0.append(event) } }
        try await running(client) {
            try await until { client.isConnected }
            central.stop()
            try await until { !client.isConnected }
            central = try await retrying {
                try TestCentral(cluster, handler: RecordingHandler(), loop: loops.loops[1], port: address.port)
            }
            try await until { client.isConnected }
            try await client.grantMedia(MediaGrant(token: "t", media: media, users: []))
        }
        central.stop()
        let kinds = events.withLock { events in
            events.compactMap { event in
                switch event {
                case .connected: "up"
                case .disconnected: "down"
                case .notice: nil
                }
            }
        }
        #expect(kinds.starts(with: ["up", "down", "up"]))
    }

    @Test func framesOfASessionKeepTheirOrderBothWays() async throws {
        // Every notice is echoed after a pause that shrinks, so that any concurrency within a session would show.
        let handler = RecordingHandler(
            onNotice: { notice, link in
                guard case .sessionFrame(let session, .ack(let sequence)) = notice else { return }
                if sequence % 10 == 0 { try? await Task.sleep(for: .milliseconds(3)) }
                link.send(.sessionFrame(session: session, .gap(.init(from: sequence, to: 0, reason: .expired))))
            })
        let central = try TestCentral(cluster, handler: handler, loop: loops.loops[1])
        defer { central.stop() }
        let client = makeClient(central.address, try cluster.clientContext(node: "edge-1"), loop: loop)
        let received = Mutex<[UInt64: [UInt64]]>([:])
        client.observe { event in
            guard case .notice(.sessionFrame(let session, .gap(let gap))) = event else { return }
            received.withLock { $0[session, default: []].append(gap.from) }
        }
        try await running(client) {
            try await until { client.isConnected }
            for sequence in 1...200 as ClosedRange<UInt64> {
                for session in 1...5 as ClosedRange<UInt64> {
                    #expect(client.send(.sessionFrame(session: session, .ack(sequence: sequence))))
                }
            }
            try await until { received.withLock { $0.values.allSatisfy { $0.count == 200 } && $0.count == 5 } }
        }
        for session in 1...5 as ClosedRange<UInt64> {
            #expect(received.withLock { $0[session] } == Array(1...200))
        }
    }

    @Test func aSessionThatIsClosedWhileItOpensIsClosedAfterIt() async throws {
        let order = Mutex<[String]>([])
        let handler = RecordingHandler(
            onNotice: { _, _ in order.withLock { $0.append("close") } },
            answer: { _ in
                try? await Task.sleep(for: .milliseconds(50))
                order.withLock { $0.append("open") }
                return .ok
            })
        let central = try TestCentral(cluster, handler: handler, loop: loops.loops[1])
        defer { central.stop() }
        let client = makeClient(central.address, try cluster.clientContext(node: "edge-1"), loop: loop)
        try await running(client) {
            try await until { client.isConnected }
            async let opening = client.request(.sessionOpen(SessionOpen(session: 9, token: "t")), timeout: nil)
            try await Task.sleep(for: .milliseconds(10))
            client.send(.sessionClose(SessionClose(session: 9, code: 1000, reason: "")))
            _ = try await opening
            try await until { order.withLock { $0.count == 2 } }
        }
        #expect(order.withLock { $0 } == ["open", "close"])
    }

    @Test func aNodeThatConnectsAgainReplacesItsOlderLink() async throws {
        let handler = RecordingHandler()
        let central = try TestCentral(cluster, handler: handler, loop: loops.loops[1])
        defer { central.stop() }
        let tls = try cluster.clientContext(node: "edge-1")
        let older = makeClient(central.address, tls, loop: loop) {
            $0.minBackoffMs = 20_000; $0.maxBackoffMs = 20_000
        }
        let newer = makeClient(central.address, tls, loop: loop)
        try await running(older) {
            try await until { older.isConnected }
            try await running(newer) {
                try await until { newer.isConnected && !older.isConnected }
                #expect(central.server.edges.map(\.name) == ["edge-1"])
                handler.seen.withLock { seen in
                    #expect(seen.up.count == 2 && seen.down == [seen.up[0]])
                }
            }
        }
    }

    @Test func everyEdgeHearsOfTheOthers() async throws {
        let central = try TestCentral(cluster, handler: RecordingHandler(), loop: loops.loops[1])
        defer { central.stop() }
        let one = makeClient(central.address, try cluster.clientContext(node: "edge-1"), loop: loop)
        let two = makeClient(central.address, try cluster.clientContext(node: "edge-2"), loop: loop, node: "edge-2")
        try await running(one) {
            try await until { one.isConnected }
            try await running(two) {
                try await until { one.edges.count == 2 && two.edges.count == 2 }
                #expect(two.edges.map(\.siblingAddress) == ["edge-1:8480", "edge-2:8480"])
            }
            try await until { one.edges.map(\.name) == ["edge-1"] }
        }
    }

    @Test func aSilentCentralIsNoticed() async throws {
        // A central that says hello and then nothing at all.
        let tls = try cluster.serverContext()
        let listener = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: [loops.loops[1]]) {
            stream in
            stream.loop.spawn {
                let channel = UplinkChannel(stream, maxQueuedBytes: 1 << 20, deadAfter: .seconds(60))
                try? await stream.startTLS(tls)
                let ack = UplinkHelloAck(version: 1, cluster: "test", serverTime: WallClock.now(), edges: [])
                if (try? await channel.receive()) != nil {
                    try? await channel.sendFirst(.response(id: 0, .helloAck(ack)))
                }
                while (try? await channel.receive()) ?? nil != nil {}
                channel.close()
            }
        }
        defer { listener.close() }
        let client = makeClient(listener.localAddress, try cluster.clientContext(node: "edge-1"), loop: loop) {
            $0.deadAfterMs = 300
            $0.pingIntervalMs = 100
            $0.minBackoffMs = 20_000
            $0.maxBackoffMs = 20_000
        }
        try await running(client) {
            try await until { client.isConnected }
            let since = MonotonicClock.now()
            try await until { !client.isConnected }
            #expect(MonotonicClock.now() - since < .seconds(2))
        }
    }

    @Test func anEdgeThatDoesNotReadIsCutOff() async throws {
        let handler = RecordingHandler()
        let central = try TestCentral(cluster, handler: handler, loop: loops.loops[1])
        defer { central.stop() }
        let tls = try cluster.clientContext(node: "edge-1")
        let stream = try await connect(central.address)
        try await onLoop { try await stream.startTLS(tls) }
        let hello = UplinkHello(versions: [1], node: "edge-1", region: "eu", siblingAddress: "", build: "test")
        try await onLoop { try await stream.send(UplinkFrame.request(id: 1, .hello(hello)).encoded()) }
        try await until { handler.seen.withLock { $0.up.count == 1 } }
        let link = handler.seen.withLock { $0.up[0] }
        let large = ServerFrame.call(
            .init(
                call: UUID(high: 0, low: 0), event: .offer, from: .user("bob"),
                data: [UInt8](repeating: 0, count: 250_000)))
        var sent = 0
        while link.send(.sessionFrame(session: 1, large)) { sent += 1 }
        #expect(sent < 1000)
        try await until { handler.seen.withLock { $0.down == [link] } }
        loop.execute { stream.close() }
    }

    private func connect(_ address: SocketAddress) async throws -> ByteStream {
        let loop = loop
        return try await Task(executorPreference: loop) {
            try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
        }.value
    }

    private func onLoop(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await Task(executorPreference: loop) { try await body() }.value
    }

    private func retrying<Value>(_ body: () throws -> Value) async throws -> Value {
        while true {
            if let value = try? body() { return value }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
