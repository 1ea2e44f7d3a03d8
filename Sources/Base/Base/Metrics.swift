import Synchronization

/// Counts upwards. Any thread may add.
public final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    public init() {}

    @inline(__always)
    public func increment(by amount: UInt64 = 1) { count.add(amount, ordering: .relaxed) }

    public var value: UInt64 { count.load(ordering: .relaxed) }
}

/// A number that goes up and down. Any thread may change it.
public final class Gauge: Sendable {
    private let count = Atomic<Int64>(0)

    public init() {}

    public func add(_ amount: Int64) { count.add(amount, ordering: .relaxed) }
    public func set(_ amount: Int64) { count.store(amount, ordering: .relaxed) }
    public var value: Int64 { count.load(ordering: .relaxed) }
}

/// Durations in the buckets of a Prometheus histogram, in seconds.
public final class Timer: Sendable {
    /// Upper bounds in nanoseconds.
    static let bounds: [Int64] = [
        500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000,
        1_000_000_000, 5_000_000_000, 30_000_000_000,
    ]
    private let state = Mutex<(buckets: [UInt64], sum: Int64)>((Array(repeating: 0, count: bounds.count + 1), 0))

    public init() {}

    public func record(_ duration: Duration) {
        let nanoseconds = duration.nanoseconds
        let index = Self.bounds.firstIndex { nanoseconds <= $0 } ?? Self.bounds.count
        state.withLock {
            $0.buckets[index] += 1
            $0.sum += nanoseconds
        }
    }

    var snapshot: (buckets: [UInt64], sum: Int64) { state.withLock { ($0.buckets, $0.sum) } }
}

/// Every metric of a process, rendered in Prometheus' text format.
///
/// Label values are given when a metric is registered, so that their number is bounded by the code, never by traffic.
public final class MetricsRegistry: Sendable {
    private enum Instrument: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case timer(Timer)
        case computed(@Sendable () -> Double)
        case computedCounter(@Sendable () -> UInt64)
    }

    private struct Series: Sendable {
        var labels: [(key: String, value: String)]
        var instrument: Instrument
    }

    private struct Family: Sendable {
        var help: String
        var type: String
        var series: [Series]
    }

    private let families = Mutex<[(name: String, family: Family)]>([])

    public init() {}

    public func counter(_ name: String, _ help: String, labels: KeyValuePairs<String, String> = [:]) -> Counter {
        let counter = Counter()
        register(name, help, "counter", labels, .counter(counter))
        return counter
    }

    public func gauge(_ name: String, _ help: String, labels: KeyValuePairs<String, String> = [:]) -> Gauge {
        let gauge = Gauge()
        register(name, help, "gauge", labels, .gauge(gauge))
        return gauge
    }

    public func timer(_ name: String, _ help: String, labels: KeyValuePairs<String, String> = [:]) -> Timer {
        let timer = Timer()
        register(name, help, "histogram", labels, .timer(timer))
        return timer
    }

    /// A gauge whose value is computed when it is read.
    public func computed(
        _ name: String, _ help: String, labels: KeyValuePairs<String, String> = [:],
        _ value: @escaping @Sendable () -> Double
    ) {
        register(name, help, "gauge", labels, .computed(value))
    }

    /// A counter that is kept elsewhere, and read when this is.
    public func computedCounter(
        _ name: String, _ help: String, labels: KeyValuePairs<String, String> = [:],
        _ value: @escaping @Sendable () -> UInt64
    ) {
        register(name, help, "counter", labels, .computedCounter(value))
    }

    private func register(
        _ name: String, _ help: String, _ type: String, _ labels: KeyValuePairs<String, String>,
        _ instrument: Instrument
    ) {
        let series = Series(labels: labels.map { (key: $0.key, value: $0.value) }, instrument: instrument)
        families.withLock { families in
            if let index = families.firstIndex(where: { $0.name == name }) {
                precondition(families[index].family.type == type, "metric \(name) registered as two types")
                families[index].family.series.append(series)
            } else {
                families.append((name, Family(help: help, type: type, series: [series])))
            }
        }
    }

    /// Prometheus text exposition format 0.0.4.
    public func render() -> String {
        var output = ""
        for (name, family) in families.withLock({ $0 }) {
            output += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.type)\n"
            for series in family.series {
                func labels(_ extra: (String, String)? = nil) -> String {
                    let all = series.labels.map { ($0.key, $0.value) } + (extra.map { [$0] } ?? [])
                    return all.isEmpty ? "" : "{" + all.map { "\($0)=\"\($1)\"" }.joined(separator: ",") + "}"
                }
                switch series.instrument {
                case .counter(let counter): output += "\(name)\(labels()) \(counter.value)\n"
                case .gauge(let gauge): output += "\(name)\(labels()) \(gauge.value)\n"
                case .computedCounter(let value): output += "\(name)\(labels()) \(value())\n"
                case .computed(let value): output += "\(name)\(labels()) \(value())\n"
                case .timer(let timer):
                    let (buckets, sum) = timer.snapshot
                    var total: UInt64 = 0
                    for (index, count) in buckets.enumerated() {
                        total += count
                        let bound = index < Timer.bounds.count ? "\(Double(Timer.bounds[index]) / 1e9)" : "+Inf"
                        output += "\(name)_bucket\(labels(("le", bound))) \(total)\n"
                    }
                    output += "\(name)_sum\(labels()) \(Double(sum) / 1e9)\n\(name)_count\(labels()) \(total)\n"
                }
            }
        }
        return output
    }
}
