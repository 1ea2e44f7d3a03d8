import ConfigurationFile
import ConnectionService

extension ConnectionService.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("max_connections", &maxConnections, in: 1...10_000_000)
        section.read("hello_timeout_ms", &helloTimeoutMs, in: 100...600_000)
        section.read("max_frames_per_second", &maxFramesPerSecond, in: 1...1_000_000)
        section.read("max_frame_burst", &maxFrameBurst, in: 1...1_000_000)
        section.read("max_frames_in_flight_per_connection", &maxFramesInFlightPerConnection, in: 1...100_000)
        section.read("max_unanswered_frames_per_connection", &maxUnansweredFramesPerConnection, in: 1...1_000_000)
        section.read("max_unanswered_bytes_per_connection", &maxUnansweredBytesPerConnection, in: 1 << 16...1 << 32)
        section.read("max_unanswered_bytes_per_node", &maxUnansweredBytesPerNode, in: 1 << 20...1 << 40)
        section.read("retry_after_ms", &retryAfterMs, in: 1...600_000)
        section.read("max_reopens_per_second", &maxReopensPerSecond, in: 1...1_000_000)
        section.read("ticket_life_seconds", &ticketLifeSeconds, in: 1...3600)
        section.read("max_tickets", &maxTickets, in: 1...10_000_000)
        section.read("max_tickets_per_user", &maxTicketsPerUser, in: 1...1_000_000)
        section.read("drain_spread_ms", &drainSpreadMs, in: 0...3_600_000)
    }
}
