import CLoadGenerator

/// A pattern of packets that is put through a server.
struct Load {
    enum Pattern {
        /// So many at once on every flow, and the next ones when these have arrived.
        case bursts(Int, toClient: Bool)
        /// Evenly over the flows, from the clients; the peers send every packet back.
        case paced(perSecond: Int)
    }

    let name: String
    let title: String
    let flowCount: Int
    let pattern: Pattern

    /// 20 ms of G.711 sound in RTP.
    static let payloadBytes = 172
    static let maxFlowCount = 100

    static let all = [
        Load(
            name: "burst-up", title: "1 flow, bursts of 32, to the peer", flowCount: 1,
            pattern: .bursts(32, toClient: false)),
        Load(
            name: "burst-down", title: "1 flow, bursts of 32, to the client", flowCount: 1,
            pattern: .bursts(32, toClient: true)),
        Load(name: "flows-up", title: "100 flows, to the peers", flowCount: 100, pattern: .bursts(1, toClient: false)),
        Load(
            name: "flows-down", title: "100 flows, to the clients", flowCount: 100, pattern: .bursts(1, toClient: true)),
        Load(
            name: "paced", title: "100 flows, 20,000/s paced, and back", flowCount: 100,
            pattern: .paced(perSecond: 20_000)),
    ]

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
        let (count, payload) = (Int32(flowCount), Int32(Self.payloadBytes))
        switch pattern {
        case .bursts(let burst, let toClient):
            skerry_load_bursts(flows, count, Int32(burst), payload, toClient ? 1 : 0, duration, &outcome.tally)
        case .paced(let perSecond):
            outcome.delays = [UInt32](unsafeUninitializedCapacity: Int(seconds * Double(perSecond) * 2) + 1000) {
                $1 = skerry_load_paced(
                    flows, count, payload, Int32(perSecond), duration, &outcome.tally, $0.baseAddress, $0.count)
            }
            outcome.delays.sort()
        }
        return outcome
    }
}
