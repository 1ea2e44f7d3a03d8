import Base
import STUN
import Testing

@testable import RelayEngine

@Suite struct RelayingTests {
    let peer = RelayHarness.peer
    let id = AllocationID(index: 0, generation: 0)

    @Test func sendNeedsAPermission() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        #expect(harness.send([1], to: peer) == .none)
        #expect(harness.drops(.noAllocation) == 1)
        _ = harness.allocate(as: client)
        #expect(harness.send([1], to: peer) == .none)
        #expect(harness.drops(.noPermission) == 1)
        #expect(try #require(harness.permit(peer, as: client)).isSuccess)
        guard case .relay(let id, let to, let payload, _) = harness.send([1, 2, 3], to: peer)
        else { throw NotRelayed() }
        #expect(id == self.id)
        #expect(to == peer)
        #expect(payload.count == 3)
        // A permission is for the address, whatever the port (RFC 8656 section 9).
        guard case .relay = harness.send([1], to: SocketAddress(peer.ip, port: 1)) else { throw NotRelayed() }
        #expect(harness.engine.statistics.traffic[0].packetsToPeers == 2)
        #expect(harness.engine.statistics.traffic[0].bytesToPeers == 4)
    }

    @Test func peersAreHeardWhilePermitted() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        #expect(harness.engine.receiveFromPeer(id, from: peer, payloadCount: 9, now: harness.now) == .none)
        _ = harness.permit(peer, as: client)
        let heard = harness.engine.receiveFromPeer(id, from: peer, payloadCount: 9, now: harness.now)
        guard case .dataIndication(let from, _, let to) = heard else { throw NotRelayed() }
        #expect(from == peer)
        #expect(to.client == client.address)
        let stranger = SocketAddress(IPAddress("9.9.9.8")!, port: peer.port)
        #expect(harness.engine.receiveFromPeer(id, from: stranger, payloadCount: 9, now: harness.now) == .none)

        harness.now = harness.now + .seconds(299)
        #expect(harness.engine.receiveFromPeer(id, from: peer, payloadCount: 9, now: harness.now) != .none)
        harness.now = harness.now + .seconds(1)
        #expect(harness.engine.receiveFromPeer(id, from: peer, payloadCount: 9, now: harness.now) == .none)
        #expect(harness.send([1], to: peer) == .none)
        #expect(harness.drops(.noPermission) == 4)
    }

    @Test func channelsCarryBothWays() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        #expect(harness.sendChannelData([1], 0x4001) == .none)
        #expect(harness.drops(.noChannel) == 1)
        #expect(try #require(harness.bind(0x4001, to: peer, as: client)).isSuccess)
        #expect(harness.sendChannelData([1, 2], 0x4001) == .relay(id, to: peer, payload: 4..<6))
        let answer = harness.engine.receiveFromPeer(id, from: peer, payloadCount: 9, now: harness.now)
        #expect(answer == .channelData(0x4001, to: RelayHarness.tuple(client.address)))

        // The channel lasts ten minutes, the permission that came with it five.
        harness.now = harness.now + .seconds(301)
        #expect(harness.sendChannelData([1], 0x4001) == .relay(id, to: peer, payload: 4..<5))
        #expect(harness.engine.receiveFromPeer(id, from: peer, payloadCount: 9, now: harness.now) == .none)
        _ = harness.ask(.refresh, as: client)
        harness.now = harness.now + .seconds(299)
        #expect(harness.sendChannelData([1], 0x4001) == .none)
        #expect(harness.drops(.noChannel) == 2)
    }

    @Test func channelsBindOneToOne() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        let other = SocketAddress(peer.ip, port: 5001)
        #expect(try #require(harness.bind(0x4000, to: peer, as: client)).code == .allocationMismatch)
        _ = harness.allocate(as: client)
        #expect(try #require(harness.bind(0x4000, to: peer, as: client)).isSuccess)
        #expect(try #require(harness.bind(0x4000, to: peer, as: client)).isSuccess)
        #expect(try #require(harness.bind(0x4000, to: other, as: client)).code == .badRequest)
        #expect(try #require(harness.bind(0x4001, to: peer, as: client)).code == .badRequest)
        #expect(try #require(harness.bind(0x4FFF, to: other, as: client)).isSuccess)
        for number: UInt16 in [0, 0x3FFF, 0x5000, 0x7FFF, 0xFFFF] {
            #expect(
                try #require(harness.bind(number, to: SocketAddress(peer.ip, port: 9), as: client)).code == .badRequest)
        }
    }

    @Test func olderClientsMayHaveTheNumbersOfRFC5766() throws {
        let harness = RelayHarness { $0.allowsFormerChannelNumbers = true }
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        #expect(try #require(harness.bind(0x7FFF, to: peer, as: client)).isSuccess)
        #expect(harness.sendChannelData([1], 0x7FFF) == .relay(id, to: peer, payload: 4..<5))
        #expect(harness.sendChannelData([1], 0x5000) == .none)
        #expect(try #require(harness.bind(0x8000, to: peer, as: client)).code == .badRequest)
    }

    @Test func tablesAreBounded() throws {
        let harness = RelayHarness {
            $0.maxPermissionsPerAllocation = 2
            $0.maxChannelsPerAllocation = 1
        }
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        let peers = (1...3).map { SocketAddress(IPAddress(v4: 0x0909_0900 + $0), port: 1) }
        #expect(try #require(harness.bind(0x4000, to: peers[0], as: client)).isSuccess)
        #expect(try #require(harness.bind(0x4001, to: peers[1], as: client)).code == .insufficientCapacity)
        #expect(try #require(harness.permit(peers[1], as: client)).isSuccess)
        #expect(try #require(harness.permit(peers[2], as: client)).code == .insufficientCapacity)
        // Several at once: all or none.
        let both = harness.ask(.createPermission, as: client) {
            $0.append(.xorPeerAddress, xorAddress: peers[0])
            $0.append(.xorPeerAddress, xorAddress: peers[2])
        }
        #expect(try #require(both).code == .insufficientCapacity)
        // What has expired makes room.
        harness.now = harness.now + .seconds(300)
        #expect(try #require(harness.permit(peers[2], as: client)).isSuccess)
    }

    @Test func refusedPeersAreForbidden() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        for text in ["127.0.0.1:9", "10.0.0.1:9", "0.0.0.0:9", "169.254.169.254:80", "255.255.255.255:9"] {
            let refused = try #require(SocketAddress(text))
            #expect(try #require(harness.permit(refused, as: client)).code == .forbidden)
            #expect(try #require(harness.bind(0x4000, to: refused, as: client)).code == .forbidden)
        }
        // One refused peer refuses them all.
        let mixed = harness.ask(.createPermission, as: client) {
            $0.append(.xorPeerAddress, xorAddress: peer)
            $0.append(.xorPeerAddress, xorAddress: SocketAddress(.loopbackV4, port: 9))
        }
        #expect(try #require(mixed).code == .forbidden)
        #expect(harness.send([1], to: peer) == .none)
        // Mapped addresses are of the other family.
        let mapped = try #require(SocketAddress("[::ffff:127.0.0.1]:9"))
        #expect(try #require(harness.permit(mapped, as: client)).code == .peerAddressFamilyMismatch)
        #expect(try #require(harness.ask(.createPermission, as: client)).code == .badRequest)
        let broken = harness.ask(.createPermission, as: client) { $0.append(.xorPeerAddress, bytes: [0, 1, 0, 0]) }
        #expect(try #require(broken).code == .badRequest)
    }

    @Test func ownPortsAreRefusedPacketByPacket() throws {
        let harness = RelayHarness(relayed: .loopbackV4, ownPorts: [3478], allowsLoopback: true)
        let client = RelayHarness.Client()
        _ = harness.allocate(as: client)
        #expect(try #require(harness.permit(SocketAddress(.loopbackV4, port: 3478), as: client)).code == .forbidden)
        #expect(try #require(harness.permit(SocketAddress(.loopbackV4, port: 9), as: client)).isSuccess)
        guard case .relay = harness.send([1], to: SocketAddress(.loopbackV4, port: 9)) else { throw NotRelayed() }
        #expect(harness.send([1], to: SocketAddress(.loopbackV4, port: 3478)) == .none)
        #expect(harness.drops(.peerRefused) == 1)
    }

    @Test func twoRelayedClientsReachEachOtherByTheirPublicNames() throws {
        let bound = try #require(IPAddress("10.1.2.3"))
        let harness = RelayHarness(bound: bound)
        let (alice, bob) = (RelayHarness.Client(), RelayHarness.Client(username: "2000000600:default:bob"))
        bob.address.port += 1
        _ = harness.allocate(as: alice)
        let relayed = try #require(harness.allocate(as: bob)).read { $0.xorAddress(.xorRelayedAddress) }
        let bobs = try #require(relayed)
        #expect(bobs.ip == RelayHarness.relay)
        #expect(try #require(harness.bind(0x4000, to: bobs, as: alice)).isSuccess)
        // Sent to where it is here, and heard as what it is called outside.
        #expect(
            harness.sendChannelData([1], 0x4000, from: alice.address)
                == .relay(id, to: SocketAddress(bound, port: bobs.port), payload: 4..<5))
        let heard = harness.engine.receiveFromPeer(
            id, from: SocketAddress(bound, port: bobs.port), payloadCount: 1, now: harness.now)
        #expect(heard == .channelData(0x4000, to: RelayHarness.tuple(alice.address)))
        // Gone with bob's allocation.
        _ = harness.ask(.refresh, as: bob) { $0.append(.lifetime, number: 0) }
        #expect(harness.sendChannelData([1], 0x4000, from: alice.address) == .none)
        #expect(harness.drops(.peerRefused) == 1)
    }

    struct NotRelayed: Error {}
}
