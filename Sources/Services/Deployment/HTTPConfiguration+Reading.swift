import ConfigurationFile
import HTTP

extension HTTPServer.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("max_head_bytes", &maxHeadBytes, in: 1024...1 << 20)
        section.read("max_head_fields", &maxHeadFields, in: 10...10_000)
        section.read("max_target_bytes", &maxTargetBytes, in: 256...1 << 20)
        section.read("max_requests_per_connection", &maxRequestsPerConnection, in: 1...1_000_000_000)
        section.read("max_body_bytes", &maxBodyBytes, in: 1024...1 << 40)
        section.read("max_trailer_bytes", &maxTrailerBytes, in: 0...1 << 20)
        section.read("max_trailer_fields", &maxTrailerFields, in: 0...10_000)
        section.read("head_timeout_ms", &headTimeoutMs, in: 100...600_000)
        section.read("idle_timeout_ms", &idleTimeoutMs, in: 100...3_600_000)
        section.read("body_timeout_ms", &bodyTimeoutMs, in: 100...3_600_000)
        section.read("min_body_bytes_per_second", &minBodyBytesPerSecond, in: 0...1 << 30)
        section.read("send_timeout_ms", &sendTimeoutMs, in: 100...3_600_000)
        section.read("max_drained_body_bytes", &maxDrainedBodyBytes, in: 0...1 << 30)
        section.section("http2") { http2.read($0) }
        section.section("web_socket") { webSocket.read($0) }
    }
}

extension HTTPServer.HTTP2Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("max_concurrent_streams", &maxConcurrentStreams, in: 1...10_000)
        section.read("stream_window_bytes", &streamWindowBytes, in: 65_535...1 << 30)
        section.read("connection_window_bytes", &connectionWindowBytes, in: 65_535...1 << 30)
        section.read("max_continuation_frames", &maxContinuationFrames, in: 1...1_000)
        section.read("abuse_period_ms", &abusePeriodMs, in: 100...3_600_000)
        section.read("max_resets", &maxResets, in: 1...1_000_000)
        section.read("max_faulty_streams", &maxFaultyStreams, in: 1...1_000_000)
        section.read("max_settings_frames", &maxSettingsFrames, in: 2...1_000_000)
        section.read("max_pings", &maxPings, in: 1...1_000_000)
        section.read("max_empty_data_frames", &maxEmptyDataFrames, in: 1...1_000_000)
        section.read("max_window_updates", &maxWindowUpdates, in: 1...1_000_000)
        section.read("max_priority_frames", &maxPriorityFrames, in: 1...1_000_000)
    }
}

extension WebSocket.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("max_queued_bytes", &maxQueuedBytes, in: 1 << 16...1 << 30)
        section.read("send_timeout_ms", &sendTimeoutMs, in: 100...600_000)
        section.read("ping_interval_ms", &pingIntervalMs, in: 100...3_600_000)
        section.read("pong_timeout_ms", &pongTimeoutMs, in: 100...3_600_000)
        section.read("close_timeout_ms", &closeTimeoutMs, in: 100...600_000)
        section.read("max_empty_fragments", &maxEmptyFragments, in: 0...1_000_000)
    }
}

extension EdgeListener.Configuration {
    mutating func read(_ section: ConfigurationSection) {
        section.read("handshake_timeout_ms", &handshakeTimeoutMs, in: 100...600_000)
        section.read("max_connections", &maxConnections, in: 1...10_000_000)
        section.read("listen_backlog", &listenBacklog, in: 1...65_535)
    }
}
