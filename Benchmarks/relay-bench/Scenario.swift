import CLoadGenerator

/// A pattern of packets that every server has to relay.
struct Scenario {
    enum Pattern {
        /// So many packets at once on a flow, and the next ones when these have arrived.
        case bursts(Int, isMerged: Bool, toClient: Bool)
        /// Evenly over the flows, from the clients; the peers send every packet back.
        case paced(perSecond: Int)
    }

    let name: String
    let title: String
    let allocations: Int
    let payloadBytes: Int
    let pattern: Pattern

    /// 20 ms of G.711 sound in RTP.
    static let voiceBytes = 172
    static let allocationCounts = [1, 100, 1000]
    /// Packets on their way at a time, over all flows.
    private static let inFlight = 128
    private static let burst = 32

    static let all = floods(voiceBytes) + merged + paced + floods(100) + floods(1200)

    /// A look at what matters, which is not all that matters.
    static let quick = all.filter {
        ["up-1x32-172", "up-100x1-172", "down-100x1-172", "up-1000x1-172", "up-1xgso-172", "paced-100-172"]
            .contains($0.name)
    }

    private static func floods(_ payloadBytes: Int) -> [Scenario] {
        allocationCounts.flatMap { allocations in
            [1, burst].flatMap { burst in
                [false, true].map { flood(allocations, burst, isMerged: false, payloadBytes, toClient: $0) }
            }
        }
    }

    private static let merged = [1, 100].flatMap { allocations in
        [voiceBytes, 1200].flatMap { payloadBytes in
            [false, true].map { flood(allocations, burst, isMerged: true, payloadBytes, toClient: $0) }
        }
    }

    private static func flood(
        _ allocations: Int, _ burst: Int, isMerged: Bool, _ payloadBytes: Int, toClient: Bool
    ) -> Scenario {
        let kind = isMerged ? "GSO to GRO" : burst == 1 ? "no bursts" : "bursts of \(burst)"
        return Scenario(
            name: "\(toClient ? "down" : "up")-\(allocations)x\(isMerged ? "gso" : "\(burst)")-\(payloadBytes)",
            title: "\(allocations) × \(payloadBytes) bytes, \(kind), to \(toClient ? "clients" : "peers")",
            allocations: allocations, payloadBytes: payloadBytes,
            pattern: .bursts(burst, isMerged: isMerged, toClient: toClient))
    }

    private static let paced = [(100, voiceBytes), (1000, voiceBytes), (100, 1200)].map { allocations, payloadBytes in
        Scenario(
            name: "paced-\(allocations)-\(payloadBytes)",
            title: "\(allocations) × \(payloadBytes) bytes, 20000/s and back", allocations: allocations,
            payloadBytes: payloadBytes, pattern: .paced(perSecond: 20_000))
    }

    var isPaced: Bool {
        if case .paced = pattern { true } else { false }
    }

    struct Outcome {
        var tally = skerry_tally()
        /// One way, in nanoseconds, in order; only of paced loads.
        var delays: [UInt32] = []
    }

    func run(_ flows: [skerry_flow], seconds: Double) -> Outcome {
        var outcome = Outcome()
        let duration = Int64(seconds * 1e9)
        let count = Int32(flows.count)
        switch pattern {
        case .bursts(let burst, let isMerged, let toClient):
            var load = skerry_load(
                burst: Int32(burst), window: Int32(max(1, Self.inFlight / burst)), payload_bytes: Int32(payloadBytes),
                to_client: toClient ? 1 : 0, is_merged: isMerged ? 1 : 0)
            skerry_load_bursts(flows, count, &load, duration, &outcome.tally)
        case .paced(let perSecond):
            outcome.delays = [UInt32](unsafeUninitializedCapacity: Int(seconds * Double(perSecond) * 2) + 1000) {
                $1 = skerry_load_paced(
                    flows, count, Int32(payloadBytes), Int32(perSecond), duration, &outcome.tally, $0.baseAddress,
                    $0.count)
            }
            outcome.delays.sort()
        }
        return outcome
    }
}
