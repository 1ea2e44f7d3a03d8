import Base
import Client
import RelayEngine
import Runtime
import Testing

@testable import RelayService

@Suite(.timeLimit(.minutes(1))) struct RelayServiceTests {
    private func client(_ relay: RunningRelay, loop: Int = 0) async throws -> TURNClient {
        let credentials = try relay.credentials
        let client = try TURNClient(
            server: relay.service.listenAddresses[0],
            login: RelayLogin(username: credentials.username, credential: credentials.credential),
            loop: relay.loops.loops[loop])
        try await client.start()
        return client
    }

    @Test func credentialsAreThoseOfTheConvention() async throws {
        try await withRelay({ $0.credentialLifetimeSeconds = 600 }) { relay in
            let now = WallTime(seconds: 1_700_000_000)
            let user = try #require(UserAddress(tenant: .default, user: "bob"))
            let credentials = relay.service.iceServers(for: user, now: now)
            #expect(credentials.username == "1700000600:default:bob")
            #expect(
                credentials.credential
                    == RESTCredentials.password(username: credentials.username, secret: RunningRelay.secret))
            #expect(credentials.ttlSeconds == 600)
            let port = relay.service.listenAddresses[0].port
            let place = "127.0.0.1:\(port)"
            #expect(
                credentials.urls == ["stun:\(place)", "turn:\(place)?transport=udp", "turn:\(place)?transport=tcp"])
            #expect(TURNServerAddress.first(in: credentials.urls)?.port == port)
        }
    }

    @Test func whileDrainingLiveAllocationsGoOnAndNoNewOnesAreMade() async throws {
        let relay = try RunningRelay(loopCount: 2) { $0.drainTimeoutMs = 30_000 }
        let (alice, bob, late) = (try await client(relay), try await client(relay, loop: 1), try await client(relay))
        let inbox = Inbox()
        await bob.onReceive { payload, peer in inbox.put(Array(payload), peer) }
        let (a, b) = (try await alice.allocate(), try await bob.allocate())
        try await alice.bindChannel(to: b.relayed)
        try await bob.bindChannel(to: a.relayed)

        // The loops go on until the clients, which live on them, are closed.
        let stopped = Task { try await relay.stopped() }
        var refusal: (any Error)?
        while refusal == nil {
            do {
                _ = try await late.allocate()
                try await late.refresh(lifetimeSeconds: 0)
            } catch { refusal = error }
        }
        #expect((refusal as? EdgeError)?.kind == .exhausted)
        await alice.send([1, 2, 3], to: b.relayed)
        #expect(await inbox.next().payload == [1, 2, 3])
        let began = MonotonicClock.now()
        for client in [alice, bob, late] { await client.close() }
        try await stopped.value
        #expect(MonotonicClock.now() - began < .seconds(10))
        relay.loops.shutdown()
    }

    @Test func whatIsLeftAtTheDrainTimeoutIsCutOff() async throws {
        let relay = try RunningRelay { $0.drainTimeoutMs = 50 }
        let alice = try await client(relay)
        _ = try await alice.allocate()
        relay.shutdown.request()
        try await relay.stopped()
        #expect(relay.service.allocationCount == 0)
        await alice.close()
        relay.loops.shutdown()
    }

    @Test func metricsCountWhatWasRelayed() async throws {
        let relay = try RunningRelay(loopCount: 1)
        let (alice, bob) = (try await client(relay), try await client(relay))
        let inbox = Inbox()
        await bob.onReceive { payload, peer in inbox.put(Array(payload), peer) }
        let (a, b) = (try await alice.allocate(), try await bob.allocate())
        try await alice.createPermission(b.relayed)
        try await bob.createPermission(a.relayed)
        for _ in 0..<10 {
            await alice.send([UInt8](repeating: 7, count: 100), to: b.relayed)
            _ = await inbox.next()
        }
        for client in [alice, bob] { await client.close() }
        try await relay.stopped()
        let lines = Set(relay.metrics.render().split(separator: "\n").map(String.init))
        relay.loops.shutdown()
        for line in [
            "skerry_relay_allocations 0", "skerry_relay_allocations_opened_total{transport=\"udp\"} 2",
            "skerry_relay_allocations_closed_total{reason=\"deleted\"} 2",
            "skerry_relay_packets_total{direction=\"to_peer\",transport=\"udp\"} 10",
            "skerry_relay_packets_total{direction=\"to_client\",transport=\"udp\"} 10",
            "skerry_relay_bytes_total{direction=\"to_peer\",transport=\"udp\"} 1000",
            "skerry_relay_errors_total{code=\"401\",transport=\"udp\"} 2",
        ] {
            #expect(lines.contains(line), "\(line)")
        }
    }

    @Test(
        arguments: [
            { $0.sharedSecret = [1, 2, 3] }, { $0.realm = "" }, { $0.realm = String(repeating: "r", count: 41) },
            {
                $0.firstRelayPort = 60_000; $0.lastRelayPort = 50_000
            }, { $0.maxLifetimeSeconds = 1 }, { $0.maxAllocations = 0 },
            { $0.externalAddresses = [.loopbackV6] },
        ] as [@Sendable (inout RelayService.Configuration) -> Void])
    func configurationsThatCannotBe(change: @Sendable (inout RelayService.Configuration) -> Void) throws {
        #expect(throws: EdgeError.self) { try RunningRelay(change) }
    }

    @Test func aTakenPortIsSaid() async throws {
        try await withRelay { relay in
            let error = #expect(throws: EdgeError.self) {
                try RunningRelay { $0.listenAddresses = [relay.service.listenAddresses[0]] }
            }
            #expect(error?.kind == .io)
        }
    }
}
