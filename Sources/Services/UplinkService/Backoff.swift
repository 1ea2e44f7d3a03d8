/// Waits between attempts: at random up to a bound that doubles (full jitter), so that many edges do not come back as one.
struct Backoff {
    private let minMs: Int
    private let maxMs: Int
    private var boundMs: Int

    init(minMs: Int, maxMs: Int) {
        self.minMs = minMs
        self.maxMs = max(minMs, maxMs)
        boundMs = minMs
    }

    mutating func reset() { boundMs = minMs }

    mutating func next() -> Duration {
        defer { boundMs = min(boundMs * 2, maxMs) }
        return .milliseconds(Int.random(in: minMs / 2...boundMs))
    }
}
