import Base
import Client
import Runtime
import Testing

@testable import RelayService

@Suite(.timeLimit(.minutes(1))) struct CallAgentTests {
    /// Packets of the sizes that Opus makes of speech.
    static let frames = (0..<50).map { index in [0x78] + [UInt8](repeating: UInt8(index), count: 60 + index * 2) }

    @Test func aCallThroughTheRelayLosesNothing() async throws {
        try await withRelay { relay in
            let wires = (Wire(), Wire())
            func agent(_ loop: EventLoop) throws -> CallAgent {
                let credentials = try relay.credentials
                return CallAgent(
                    server: relay.service.listenAddresses[0],
                    login: RelayLogin(username: credentials.username, credential: credentials.credential), loop: loop)
            }
            let (caller, callee) = (try agent(relay.loops.loops[0]), try agent(relay.loops.loops[1]))
            async let ours = caller.run(
                as: .caller, frames: Self.frames, duration: .seconds(2),
                signalling: .init(send: { wires.0.put($0) }, receive: { await wires.1.next() }))
            async let theirs = callee.run(
                as: .callee, frames: Self.frames, duration: .seconds(2),
                signalling: .init(send: { wires.1.put($0) }, receive: { await wires.0.next() }))
            let reports = try await [ours, theirs]
            for report in reports {
                #expect(report.packetsSent == 100)
                #expect(report.packetsExpected == 100)
                #expect(report.packetsReceived == 100)
                #expect(report.packetsLost == 0)
                #expect(report.packetsLostByPeer == 0)
                #expect(report.bytesReceived == 2 * Self.frames.reduce(0) { $0 + $1.count })
                #expect(report.roundTrips.count >= 5)
                let median = try #require(report.roundTrip(within: 0.5))
                #expect(median > .zero && median < .milliseconds(200))
                #expect(report.jitter < .milliseconds(20))
            }
            #expect(reports[0].relayedAddress == reports[1].peerAddress)
            #expect(relay.service.allocationCount == 0)
        }
    }

    @Test func withoutTheOtherEndTheCallFails() async throws {
        try await withRelay { relay in
            let credentials = try relay.credentials
            var configuration = CallAgent.Configuration()
            configuration.signallingTimeoutMs = 50
            let agent = CallAgent(
                server: relay.service.listenAddresses[0],
                login: RelayLogin(username: credentials.username, credential: credentials.credential),
                loop: relay.loops.loops[0], configuration: configuration)
            let error = await #expect(throws: EdgeError.self) {
                try await agent.run(
                    as: .caller, frames: Self.frames, duration: .seconds(1),
                    signalling: .init(
                        send: { _ in },
                        receive: {
                            try await relay.loops.loops[0].sleep(for: .seconds(60))
                            return ""
                        }))
            }
            #expect(error?.kind == .timeout)
            #expect(relay.service.allocationCount == 0)
        }
    }

    @Test func descriptionsSurvive() throws {
        for text in ["192.0.2.1:50000", "[2001:db8::1]:50000"] {
            let description = CallDescription(
                address: try #require(SocketAddress(text)), ssrc: 0xFFFF_FFFE, session: 12)
            #expect(CallDescription(sdp: description.sdp) == description)
        }
        for broken in [
            "", "v=0\r\n", "c=IN IP4 x\r\nm=audio 9 RTP/AVP 111\r\na=ssrc:1 cname:x", "m=audio 70000 RTP/AVP 111",
        ] {
            #expect(CallDescription(sdp: broken) == nil)
        }
    }
}

/// Texts from one end to the other.
private final class Wire: Sendable {
    private let inbox = Inbox()

    func put(_ text: String) { inbox.put(Array(text.utf8), SocketAddress(.anyV4, port: 0)) }
    func next() async -> String { String(decoding: await inbox.next().payload, as: UTF8.self) }
}
