import Base

/// What the connection layer counts.
struct ConnectionMetrics: Sendable {
    let connections: Gauge
    let framesReceived: Counter
    let framesSent: Counter
    let framesRefused: Counter
    let handshakesRefused: Counter
    let sessionsRefused: Counter
    private let closes: [UInt16: Counter]
    private let otherCloses: Counter

    init(_ registry: MetricsRegistry) {
        connections = registry.gauge("skerry_client_connections", "WebSockets that are open")
        framesReceived = registry.counter("skerry_client_frames_received_total", "Frames received from clients")
        framesSent = registry.counter("skerry_client_frames_sent_total", "Frames sent to clients")
        framesRefused = registry.counter(
            "skerry_client_frames_refused_total", "Frames of clients that were malformed, unknown or out of bounds")
        handshakesRefused = registry.counter(
            "skerry_client_handshakes_refused_total", "WebSocket handshakes answered with an error")
        sessionsRefused = registry.counter(
            "skerry_client_sessions_refused_total", "Sessions that the central did not open")
        let help = "WebSockets that were closed"
        func counter(_ code: String) -> Counter {
            registry.counter("skerry_client_closes_total", help, labels: ["code": code])
        }
        let codes: [UInt16] = [
            CloseCode.normal, 1001, 1005, CloseCode.abnormal, CloseCode.restart, CloseCode.tryLater,
            CloseCode.protocolError, CloseCode.authentication, CloseCode.tooSlow, CloseCode.replaced,
            CloseCode.tooLarge,
            CloseCode.rate,
        ]
        closes = Dictionary(uniqueKeysWithValues: codes.map { ($0, counter("\($0)")) })
        otherCloses = counter("other")
    }

    func countClose(_ code: UInt16) { (closes[code] ?? otherCloses).increment() }
}
