import Base

/// What a pool counts. The results are a closed set.
struct MediaWorkerMetrics: Sendable {
    private static let results = [
        "ok", "unsupported", "too_large", "corrupt", "limit", "timed_out", "crashed", "killed", "misbehaved",
        "no_sandbox",
        "overloaded", "not_started", "closed", "cancelled", "input",
    ]

    let duration: Timer
    private let jobs: [String: Counter]

    init(_ registry: MetricsRegistry, slots: JobSlots) {
        jobs = Dictionary(
            uniqueKeysWithValues: Self.results.map { result in
                let help = "Jobs of media workers, by how they ended."
                return (result, registry.counter("skerry_media_worker_jobs_total", help, labels: ["result": result]))
            })
        duration = registry.timer(
            "skerry_media_worker_job_seconds", "Time from the start of a worker to its end, waiting not counted.")
        registry.computed("skerry_media_worker_running", "Workers that run now.") { Double(slots.running) }
        registry.computed("skerry_media_worker_waiting", "Jobs that wait for a worker.") { Double(slots.waiting) }
    }

    func count(_ error: (any Error)?) {
        jobs[Self.result(of: error)]?.increment()
    }

    private static func result(of error: (any Error)?) -> String {
        guard let error else { return "ok" }
        guard let error = error as? MediaWorkerError else { return error is CancellationError ? "cancelled" : "input" }
        return switch error {
        case .unsupported: "unsupported"
        case .tooLarge: "too_large"
        case .corrupt: "corrupt"
        case .limitExceeded: "limit"
        case .timedOut: "timed_out"
        case .crashed: "crashed"
        case .killed: "killed"
        case .misbehaved: "misbehaved"
        case .noSandbox: "no_sandbox"
        case .overloaded: "overloaded"
        case .notStarted: "not_started"
        case .closed: "closed"
        }
    }
}
