import Base
import STUN
import Testing

@testable import RelayEngine

/// ICMP errors as Data indications (RFC 8656 sections 11.5 and 18.13), and 300 while draining.
@Suite struct NetworkErrorTests {
    private func indication(
        _ harness: RelayHarness, _ error: RelayEngine.NetworkError
    ) -> RelayHarness.Answer? {
        let id = harness.engine.sessions(limit: 1, now: harness.now) { _ in true }[0].id
        var output = [UInt8](repeating: 0, count: RelayEngine.maxAnswerByteCount)
        let told = output.withUnsafeMutableBytes {
            harness.engine.receiveError(id, error, now: harness.now, into: $0)
        }
        guard let (count, tuple) = told else { return nil }
        #expect(tuple.client == RelayHarness.client)
        return RelayHarness.Answer(bytes: Array(output[..<count]))
    }

    @Test func aClientHearsOfItsPeers() throws {
        let harness = RelayHarness()
        let client = RelayHarness.Client()
        #expect(try #require(harness.allocate(as: client)).isSuccess)
        func error(_ type: UInt8, _ peer: SocketAddress = RelayHarness.peer) -> RelayEngine.NetworkError {
            RelayEngine.NetworkError(peer: peer, type: type, code: 4, mtu: 1280)
        }
        #expect(indication(harness, error(3)) == nil, "no permission, no word")
        #expect(try #require(harness.permit(RelayHarness.peer, as: client)).isSuccess)
        let told = try #require(indication(harness, error(3)))
        #expect(told.read { $0.type } == STUNMessageType(.data, .indication))
        #expect(told.read { $0.xorAddress(.xorPeerAddress) } == RelayHarness.peer)
        #expect(told.read { $0.value(.data) } == nil)
        // 7 bits of type, 9 of code.
        #expect(told.read { $0.value(.icmp) } == [0, 0, 3 << 1, 4, 0, 0, 5, 0])
        #expect(indication(harness, error(11)) != nil)
        for type in [UInt8(0), 5, 8, 12] { #expect(indication(harness, error(type)) == nil) }
        #expect(harness.engine.statistics.networkErrors == 2)
    }

    @Test func whileDrainingNewClientsAreSentElsewhere() throws {
        let elsewhere = SocketAddress("203.0.113.20:3478")!
        let harness = RelayHarness {
            $0.alternateServers = [elsewhere]
            $0.alternateDomain = "turn-2.example.org"
        }
        let (old, new) = (RelayHarness.Client(), RelayHarness.Client())
        new.address = SocketAddress("198.51.100.9:1")!
        #expect(try #require(harness.allocate(as: old)).isSuccess)
        harness.engine.isDraining = true
        let answer = try #require(harness.allocate(as: new))
        #expect(answer.code == .tryAlternate)
        #expect(answer.read { $0.value(.alternateServer) } == [0, 1, 0x0D, 0x96, 203, 0, 113, 20])
        #expect(answer.read { $0.text(.alternateDomain) } == "turn-2.example.org")
        #expect(answer.read { $0.integrity } == .sha1)
        #expect(try #require(harness.ask(.refresh, as: old)).isSuccess)
        #expect(try #require(harness.permit(RelayHarness.peer, as: old)).isSuccess)
        new.address = SocketAddress("[2001:db8::9]:1")!
        new.nonce = nil
        #expect(try #require(harness.allocate(as: new)).code == .insufficientCapacity)
    }
}
