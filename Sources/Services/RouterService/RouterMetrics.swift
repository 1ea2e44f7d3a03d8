import Base
import Wire

/// What the central counts. Every label value is a constant.
struct RouterMetrics: Sendable {
    let sessions: Gauge
    let calls: Gauge
    let deliveries: Counter
    let repetitions: Counter
    let refusals: Counter
    let statuses: Counter
    let mediaRegistered: Counter
    let mediaFound: Counter
    let mediaRefused: Counter
    let mediaPurged: Counter
    let commitDuration: Timer
    private let accepted: [MessageClass: Counter]

    init(_ registry: MetricsRegistry) {
        sessions = registry.gauge("skerry_router_sessions", "Devices that are connected.")
        calls = registry.gauge("skerry_router_calls", "Calls that ring or stand.")
        deliveries = registry.counter("skerry_router_deliveries_total", "Deliveries sent to sessions.")
        repetitions = registry.counter("skerry_router_repetitions_total", "Frames whose id was accepted before.")
        refusals = registry.counter("skerry_router_refusals_total", "Frames answered with an error.")
        statuses = registry.counter("skerry_router_statuses_total", "Statuses posted.")
        mediaRegistered = registry.counter("skerry_media_registered_total", "Media objects entered into the directory.")
        mediaFound = registry.counter("skerry_media_lookups_total", "Directory lookups.", labels: ["result": "found"])
        mediaRefused = registry.counter(
            "skerry_media_lookups_total", "Directory lookups.", labels: ["result": "not_found"])
        mediaPurged = registry.counter("skerry_media_purged_total", "Media objects expired or deleted.")
        commitDuration = registry.timer(
            "skerry_router_accept_seconds", "From a message's arrival at the central to its commit.")
        accepted = Dictionary(
            uniqueKeysWithValues: MessageClass.allCases.map { messageClass in
                (
                    messageClass,
                    registry.counter(
                        "skerry_router_accepted_total", "Messages accepted.", labels: ["class": messageClass.rawValue])
                )
            })
    }

    func accepted(_ messageClass: MessageClass) { accepted[messageClass]?.increment() }
}
