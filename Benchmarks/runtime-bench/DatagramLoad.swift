import Base
import BenchmarkSupport
import CLoadGenerator
import TURNTesting

/// Sockets that send to a UDP server and get back what they, or the others of their pairs, have sent.
final class DatagramLoad {
    private let sockets: [LoopbackSocket]
    private let flows: [skerry_flow]

    /// - Parameter ports: both the same for an echo; the two sides of a relay otherwise, for one flow alone.
    init(_ count: Int, to ports: (first: UInt16, second: UInt16)) throws {
        let isRelay = ports.first != ports.second
        precondition(!isRelay || count == 1, "a relay has one source on each side")
        var sockets: [LoopbackSocket] = []
        func socket(_ port: UInt16) throws -> Int32 {
            let socket = try LoopbackSocket(bufferBytes: 1 << 20)
            try socket.connect(to: SocketAddress(.loopbackV4, port: port))
            sockets.append(socket)
            return socket.descriptor
        }
        flows = try (0..<count).map { _ in
            let client = try socket(ports.first)
            let peer = isRelay ? try socket(ports.second) : client
            return skerry_flow(client: client, peers: (peer, peer), channels: (0, 0))
        }
        self.sockets = sockets
        // The relay learns from these where its two sides are; what it may have sent on is taken by the warm-up.
        if isRelay {
            for socket in sockets { try socket.send([0]) }
        }
        _ = run(1, 16, nanoseconds: 20_000_000)
    }

    func run(_ burst: Int, _ payloadBytes: Int, seconds: Int) -> LoadOutcome {
        run(burst, payloadBytes, nanoseconds: Int64(seconds) * 1_000_000_000)
    }

    private func run(_ burst: Int, _ payloadBytes: Int, nanoseconds: Int64) -> LoadOutcome {
        var tally = skerry_tally()
        var load = skerry_load(
            burst: Int32(burst), window: Int32(flows.count), payload_bytes: Int32(payloadBytes), to_client: 0,
            is_merged: 0)
        skerry_load_bursts(flows, Int32(flows.count), &load, nanoseconds, &tally)
        return LoadOutcome(count: Int(tally.received), faults: Int(tally.damaged + tally.sent - tally.received))
    }
}
