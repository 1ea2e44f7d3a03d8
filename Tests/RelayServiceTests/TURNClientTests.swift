import Base
import Client
import Runtime
import STUN
import Synchronization
import TURNTesting
import Testing

@testable import RelayService

/// Our client against our relay, over real sockets.
@Suite(.timeLimit(.minutes(1))) struct TURNClientTests {
    private func login(_ relay: RunningRelay) throws -> RelayLogin {
        let credentials = try relay.credentials
        return RelayLogin(username: credentials.username, credential: credentials.credential)
    }

    @Test func bindingTellsOurAddress() async throws {
        try await withRelay { relay in
            let client = try TURNClient(
                server: relay.service.listenAddresses[0], login: try login(relay), loop: relay.loops.loops[0])
            try await client.start()
            let mapped = try await client.bind()
            #expect(mapped.ip == .loopbackV4)
            await client.close()
        }
    }

    @Test func onEveryAddressTheRelayAnswersFromTheOneThatWasAsked() async throws {
        try await withRelay({
            $0.listenAddresses[0].ip = .anyV4
            $0.relayAddresses = [.loopbackV4]
        }) { relay in
            for last in UInt32(1)...3 {
                let server = SocketAddress(
                    IPAddress(v4: 0x7F00_0000 | last), port: relay.service.listenAddresses[0].port)
                let client = try TURNClient(server: server, login: try login(relay), loop: relay.loops.loops[0])
                // It takes answers from that address alone.
                try await client.start()
                _ = try await client.bind()
                let allocation = try await client.allocate()
                #expect(allocation.relayed.ip == .loopbackV4)
                // What peers send comes from there too.
                let peer = try LoopbackSocket()
                try peer.connect(to: allocation.relayed)
                try await client.createPermission(peer.localAddress)
                let inbox = Inbox()
                await client.onReceive { payload, peer in inbox.put(Array(payload), peer) }
                try peer.send([UInt8(last)])
                #expect(await inbox.next().payload == [UInt8(last)])
                await client.close()
            }
            #expect(relay.service.allocationCount == 0)
        }
    }

    @Test(arguments: [false, true])
    func twoClientsReachEachOther(byChannel: Bool) async throws {
        try await withRelay { relay in
            let inboxes = (Inbox(), Inbox())
            let alice = try TURNClient(
                server: relay.service.listenAddresses[0], login: try login(relay), loop: relay.loops.loops[0])
            let bob = try TURNClient(
                server: relay.service.listenAddresses[0], login: try login(relay), loop: relay.loops.loops[1])
            for (client, inbox) in [(alice, inboxes.0), (bob, inboxes.1)] {
                try await client.start()
                await client.onReceive { payload, peer in inbox.put(Array(payload), peer) }
            }
            let (a, b) = (try await alice.allocate(), try await bob.allocate())
            #expect(a.relayed.ip == .loopbackV4)
            #expect((49152...65535).contains(a.relayed.port))
            #expect(relay.service.allocationCount == 2)
            if byChannel {
                try await alice.bindChannel(to: b.relayed)
                try await bob.bindChannel(to: a.relayed)
            } else {
                try await alice.createPermission(b.relayed)
                try await bob.createPermission(a.relayed)
            }
            for count in [0, 1, 2, 3, 4, 172, 1400] {
                let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
                await alice.send(payload, to: b.relayed)
                let heard = await inboxes.1.next()
                #expect(heard.payload == payload)
                #expect(heard.peer == a.relayed)
                await bob.send(payload, to: a.relayed)
                #expect(await inboxes.0.next().payload == payload)
            }
            #expect(try await alice.refresh() == 600)
            await alice.close()
            await bob.close()
            #expect(relay.service.allocationCount == 0)
        }
    }

    @Test func refusalsHaveTheirReasons() async throws {
        try await withRelay({ $0.maxAllocationsPerUser = 1 }) { relay in
            let loop = relay.loops.loops[0]
            let server = relay.service.listenAddresses[0]
            let client = try TURNClient(server: server, login: try login(relay), loop: loop)
            let second = try TURNClient(server: server, login: try login(relay), loop: loop)
            let stranger = try TURNClient(
                server: server, login: RelayLogin(username: "1:default:eve", credential: "x"), loop: loop)
            for client in [client, second, stranger] { try await client.start() }
            _ = try await client.allocate()
            #expect(await code { _ = try await second.allocate() } == .allocationQuotaReached)
            #expect(await code { _ = try await stranger.allocate() } == .unauthenticated)
            #expect(
                await code { try await second.createPermission(SocketAddress(.loopbackV4, port: 9)) }
                    == .allocationMismatch)
            let refused = [
                server, SocketAddress(IPAddress(v4: 0x0A00_0001), port: 9),
                SocketAddress(IPAddress(v4: 0xA9FE_A9FE), port: 80),
                SocketAddress(IPAddress(v4: 1), port: 9),
            ]
            for peer in refused {
                #expect(await code { try await client.createPermission(peer) } == .forbidden)
                #expect(await code { try await client.bindChannel(to: peer) } == .forbidden)
            }
            for client in [client, second, stranger] { await client.close() }
        }
    }

    @Test func aSilentServerIsATimeout() async throws {
        let loops = try EventLoopGroup(count: 1, name: "silent")
        let hole = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loops.loops[0])
        var configuration = TURNClient.Configuration()
        configuration.initialTimeoutMs = 5
        configuration.maxAttempts = 2
        let client = try TURNClient(
            server: hole.localAddress, login: RelayLogin(username: "u", credential: "p"), loop: loops.loops[0],
            configuration: configuration)
        try await client.start()
        let error = await #expect(throws: EdgeError.self) { try await client.bind() }
        #expect(error?.kind == .timeout)
        await client.close()
        loops.shutdown()
    }

    @Test func addressesInURLs() {
        func place(_ url: String) -> String? { TURNServerAddress.first(in: [url]).map { "\($0.host) \($0.port)" } }
        #expect(place("turn:example.org:3480?transport=udp") == "example.org 3480")
        #expect(place("turn:example.org") == "example.org 3478")
        #expect(place("turn:[::1]:9?transport=udp") == "::1 9")
        #expect(place("turn:[2001:db8::1]") == "2001:db8::1 3478")
        for url in ["stun:example.org", "turns:example.org", "turn:example.org?transport=tcp", "turn:a:b", "turn:"] {
            #expect(place(url) == nil)
        }
    }

    private func code(_ body: () async throws -> Void) async -> STUNErrorCode? {
        do {
            try await body()
            return nil
        } catch {
            return ((error as? EdgeError)?.cause as? TURNRefusal)?.code
        }
    }
}

/// What a client received, in order.
final class Inbox: Sendable {
    private struct State {
        var items: [(payload: [UInt8], peer: SocketAddress)] = []
        var waiter: CheckedContinuation<(payload: [UInt8], peer: SocketAddress), Never>?
    }

    private let state = Mutex(State())

    func put(_ payload: [UInt8], _ peer: SocketAddress) {
        let waiter = state.withLock { state in
            if let waiter = state.waiter {
                state.waiter = nil
                return Optional(waiter)
            }
            state.items.append((payload, peer))
            return nil
        }
        waiter?.resume(returning: (payload, peer))
    }

    func next() async -> (payload: [UInt8], peer: SocketAddress) {
        await withCheckedContinuation { continuation in
            let item = state.withLock { state in
                if state.items.isEmpty {
                    state.waiter = continuation
                    return nil as (payload: [UInt8], peer: SocketAddress)?
                }
                return state.items.removeFirst()
            }
            if let item { continuation.resume(returning: item) }
        }
    }
}
