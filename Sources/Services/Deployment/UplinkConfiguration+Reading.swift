import ConfigurationFile
import UplinkService

extension UplinkClient.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("central_address", &centralAddress, "host:port of the central", parse: hostAndPort)
        section.read("connect_timeout_ms", &connectTimeoutMs, in: 100...600_000)
        section.read("request_timeout_ms", &requestTimeoutMs, in: 100...600_000)
        section.read("max_requests_in_flight", &maxRequestsInFlight, in: 1...1_000_000)
        section.read("max_queued_bytes", &maxQueuedBytes, in: 1 << 20...1 << 34)
        section.read("ping_interval_ms", &pingIntervalMs, in: 10...60_000)
        section.read("dead_after_ms", &deadAfterMs, in: 100...600_000)
        section.read("min_backoff_ms", &minBackoffMs, in: 1...600_000)
        section.read("max_backoff_ms", &maxBackoffMs, in: 1...600_000)
        if deadAfterMs <= pingIntervalMs { section.reject("dead_after_ms", "has to be above ping_interval_ms") }
        if maxBackoffMs < minBackoffMs { section.reject("max_backoff_ms", "has to be at least min_backoff_ms") }
    }
}

extension UplinkServer.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("max_links", &maxLinks, in: 1...100_000)
        section.read("max_in_flight_per_link", &maxInFlightPerLink, in: 1...1_000_000)
        section.read("max_queued_bytes_per_link", &maxQueuedBytesPerLink, in: 1 << 20...1 << 34)
        section.read("dead_after_ms", &deadAfterMs, in: 100...600_000)
    }
}
