import Base

/// Counts what an HTTP/2 peer can make a server do for nothing, and says when it is too much. A struct without I/O and without
/// a clock.
struct HTTP2AbuseGuard {
    /// Why a connection was cut off; the label of a metric.
    enum Reason: String, CaseIterable, Sendable {
        /// Requests opened and given up at once (CVE-2023-44487).
        case rapidReset = "rapid-reset"
        /// Faults that make this side reset requests, which frees their places while the work goes on (CVE-2025-8671).
        case faultyStreams = "faulty-streams"
        /// A head without end (CVE-2024-27316).
        case continuations
        /// A head that is far larger unpacked than a request may be.
        case headerList = "header-list"
        case settings
        case pings
        case emptyData = "empty-data"
        case windowUpdates = "window-updates"
        /// Asked for, and ignored.
        case priorities
        /// More answers queued than the peer takes.
        case unreadAnswers = "unread-answers"
    }

    enum Frame {
        case data(isEmpty: Bool)
        case reset
        case settings
        case ping
        case windowUpdate
        case priority
        case other
    }

    private struct Counts {
        var answered = 0
        var resets = 0
        var faultyStreams = 0
        var settings = 0
        var pings = 0
        var emptyData = 0
        var windowUpdates = 0
        var priorities = 0
        var dataFramesSent = 0
    }

    private let configuration: HTTPServer.HTTP2Configuration
    private var counts = Counts()
    private var periodEnd: MonotonicInstant

    init(_ configuration: HTTPServer.HTTP2Configuration, now: MonotonicInstant) {
        self.configuration = configuration
        periodEnd = now + .milliseconds(configuration.abusePeriodMs)
    }

    /// Called once for all that arrives together.
    mutating func begin(at now: MonotonicInstant) {
        guard now >= periodEnd else { return }
        counts = Counts()
        periodEnd = now + .milliseconds(configuration.abusePeriodMs)
    }

    mutating func hasAnswered() { counts.answered += 1 }

    mutating func hasSentData() { counts.dataFramesSent += 1 }

    /// A stream is to be reset for what the peer does on it.
    mutating func receiveFault() -> Reason? {
        counts.faultyStreams += 1
        return counts.faultyStreams > configuration.maxFaultyStreams ? .faultyStreams : nil
    }

    /// - Returns: the bound that the frame breaks.
    mutating func receive(_ frame: Frame) -> Reason? {
        switch frame {
        case .data(let isEmpty):
            guard isEmpty else { return nil }
            counts.emptyData += 1
            return counts.emptyData > configuration.maxEmptyDataFrames ? .emptyData : nil
        case .reset:
            counts.resets += 1
            return counts.resets > configuration.maxResets + counts.answered ? .rapidReset : nil
        case .settings:
            counts.settings += 1
            return counts.settings > configuration.maxSettingsFrames ? .settings : nil
        case .ping:
            counts.pings += 1
            return counts.pings > configuration.maxPings ? .pings : nil
        case .windowUpdate:
            counts.windowUpdates += 1
            let allowed = configuration.maxWindowUpdates + 10 * counts.dataFramesSent
            return counts.windowUpdates > allowed ? .windowUpdates : nil
        case .priority:
            counts.priorities += 1
            return counts.priorities > configuration.maxPriorityFrames ? .priorities : nil
        case .other: return nil
        }
    }
}
