import Base

/// What an end of the uplink counts.
struct UplinkMetrics: Sendable {
    let links: Gauge
    let refused: Counter
    let framesSent: Counter
    let framesReceived: Counter
    let framesRefused: Counter

    init(_ registry: MetricsRegistry, side: String) {
        links = registry.gauge("skerry_uplink_links", "Uplinks that are up", labels: ["side": side])
        refused = registry.counter("skerry_uplink_refused_total", "Uplinks refused", labels: ["side": side])
        framesSent = registry.counter(
            "skerry_uplink_frames_sent_total", "Frames sent on uplinks", labels: ["side": side])
        framesReceived = registry.counter(
            "skerry_uplink_frames_received_total", "Frames received on uplinks", labels: ["side": side])
        framesRefused = registry.counter(
            "skerry_uplink_frames_refused_total", "Frames that were malformed or unknown", labels: ["side": side])
    }
}
