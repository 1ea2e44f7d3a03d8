import Base

/// One line that says how far a transfer is: share, bytes, rate, time left. Shown on a terminal only.
///
/// The rate is over the last seconds, so that a resumed transfer does not count what an earlier run sent.
struct ProgressBar {
    private let label: String
    private let isShown: Bool
    private var samples: [(at: MonotonicInstant, count: Int64)] = []
    private var lastDrawn: MonotonicInstant?

    init(label: String, isShown: Bool) {
        self.label = label
        self.isShown = isShown
    }

    mutating func update(_ count: Int64, of total: Int64, at now: MonotonicInstant) {
        guard isShown else { return }
        samples.append((now, count))
        while samples.count > 2, now - samples[0].at > .seconds(5) { samples.removeFirst() }
        if let lastDrawn, now - lastDrawn < .milliseconds(100), count < total { return }
        lastDrawn = now
        Terminal.rewriteErrorLine(line(count, of: total, columns: Terminal.columns))
    }

    /// Ends the line, so that what follows starts on its own.
    func finish() {
        if isShown, lastDrawn != nil { Terminal.printError("") }
    }

    func line(_ count: Int64, of total: Int64, columns: Int) -> String {
        let share = total > 0 ? Double(count) / Double(total) : 1
        var right = " \(String(Int(share * 100)).leftPadded(to: 3))%  \(formatBytes(count)) of \(formatBytes(total))"
        if let rate = bytesPerSecond, rate > 0 {
            right +=
                "  \(formatBytes(Int64(rate)))/s  ETA \(formatDuration(.seconds(Int64(Double(total - count) / rate))))"
        }
        let room = columns - label.count - right.count - 4
        guard room >= 10 else { return label + right }
        let width = min(40, room)
        let filled = Int(share * Double(width))
        return "\(label) [" + String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
            + "]" + right
    }

    private var bytesPerSecond: Double? {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return nil }
        return Double(last.count - first.count) / (Double((last.at - first.at).nanoseconds) / 1e9)
    }
}

/// `12 B`, `3.4 MiB`.
func formatBytes(_ count: Int64) -> String {
    if count < 1024 { return "\(count) B" }
    var value = Double(count) / 1024
    var units = ["KiB", "MiB", "GiB", "TiB"][...]
    while value >= 1024, units.count > 1 {
        value /= 1024
        units.removeFirst()
    }
    return "\(formatTenths(value)) \(units.first ?? "")"
}

/// `850 ms`, `3.2 s`, `2:05`, `1:02:03`.
func formatDuration(_ duration: Duration) -> String {
    let milliseconds = duration.milliseconds
    if milliseconds < 1000 { return "\(milliseconds) ms" }
    let seconds = milliseconds / 1000
    if seconds < 60 { return "\(formatTenths(Double(milliseconds) / 1000)) s" }
    func two(_ value: Int64) -> String { String(value).leftPadded(to: 2, with: "0") }
    return seconds < 3600
        ? "\(seconds / 60):\(two(seconds % 60))" : "\(seconds / 3600):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
}

/// A number with one decimal.
func formatTenths(_ value: Double) -> String {
    let tenths = Int64((value * 10).rounded())
    return "\(tenths < 0 ? "-" : "")\(tenths.magnitude / 10).\(tenths.magnitude % 10)"
}

extension String {
    func leftPadded(to count: Int, with filler: Character = " ") -> String {
        String(repeating: filler, count: max(0, count - self.count)) + self
    }
}
