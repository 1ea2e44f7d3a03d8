import Base
import ConfigurationFile
import RelayService

extension RelayService.Configuration {
    /// Credentials are read from files of their own, later.
    mutating func read(_ section: ConfigurationSection) {
        readAddresses(section)
        section.read("realm", &realm, "a text of 1 to 40 bytes") { (1...40).contains($0.utf8.count) ? $0 : nil }
        section.read("credential_lifetime_seconds", &credentialLifetimeSeconds, in: 60...30 * 86_400)
        section.read("max_authorizations", &maxAuthorizations, in: 1...1_000_000)
        section.read("max_revocations", &maxRevocations, in: 1...1_000_000)
        section.read("nonce_lifetime_ms", &nonceLifetimeMs, in: 1000...86_400_000)
        section.read("max_allocations", &maxAllocations, in: 1...1_000_000)
        section.read("max_allocations_per_tenant", &maxAllocationsPerTenant, in: 1...1_000_000)
        section.read("max_allocations_per_user", &maxAllocationsPerUser, in: 1...1_000_000)
        section.read("max_bytes_per_second", &maxBytesPerSecond, in: 0...1 << 40)
        section.read("max_bytes_per_second_per_tenant", &maxBytesPerSecondPerTenant, in: 0...1 << 40)
        section.read("max_bytes_per_second_per_user", &maxBytesPerSecondPerUser, in: 0...1 << 40)
        section.read("max_reserved_ports", &maxReservedPorts, in: 1...65_535)
        section.read("default_lifetime_seconds", &defaultLifetimeSeconds, in: 1...86_400)
        section.read("max_lifetime_seconds", &maxLifetimeSeconds, in: 1...86_400)
        section.read("max_permissions_per_allocation", &maxPermissionsPerAllocation, in: 1...4096)
        section.read("max_channels_per_allocation", &maxChannelsPerAllocation, in: 1...4096)
        section.read("max_connections_per_allocation", &maxConnectionsPerAllocation, in: 1...4096)
        section.read("allow_rfc5766_channel_numbers", &allowRFC5766ChannelNumbers)
        section.read("unauthenticated_answers_per_second", &unauthenticatedAnswersPerSecond, in: 1...1_000_000)
        section.read("unauthenticated_answers_burst", &unauthenticatedAnswersBurst, in: 1...1_000_000)
        section.read("allow_peers", &allowPeers, maxCount: 256)
        section.read("deny_peers", &denyPeers, maxCount: 256)
        section.read("nat64_prefixes", &nat64Prefixes, "a prefix of 32, 40, 48, 56, 64 or 96 bits", maxCount: 16) {
            IPNetwork($0).flatMap { $0.isTranslationPrefix ? $0 : nil }
        }
        section.read("allow_loopback_peers", &allowLoopbackPeers)
        section.read("listener_buffer_bytes", &listenerBufferBytes, in: 64 << 10...1 << 30)
        section.read("relay_buffer_bytes", &relayBufferBytes, in: 16 << 10...1 << 30)
        section.read("max_audit_records_per_second", &maxAuditRecordsPerSecond, in: 0...1_000_000)
        section.read("max_connections", &maxConnections, in: 1...10_000_000)
        section.read(
            "max_unauthenticated_connections_per_prefix", &maxUnauthenticatedConnectionsPerPrefix, in: 1...1_000_000)
        section.read("handshake_timeout_ms", &handshakeTimeoutMs, in: 100...600_000)
        section.read("unauthenticated_timeout_ms", &unauthenticatedTimeoutMs, in: 100...3_600_000)
        section.read("connection_queue_bytes", &connectionQueueBytes, in: 16 << 10...1 << 30)
        section.read("listen_backlog", &listenBacklog, in: 1...1_000_000)
        section.read("drain_timeout_ms", &drainTimeoutMs, in: 0...3_600_000)
        if defaultLifetimeSeconds > maxLifetimeSeconds {
            section.reject("default_lifetime_seconds", "has to be at most max_lifetime_seconds")
        }
    }

    private mutating func readAddresses(_ section: ConfigurationSection) {
        section.read("listen_addresses", &listenAddresses, maxCount: Self.maxListeners)
        section.read("tls_listen_addresses", &tlsListenAddresses, maxCount: Self.maxListeners)
        section.read("relay_addresses", &relayAddresses, "an IP address", maxCount: 2) { IPAddress($0) }
        section.read("external_addresses", &externalAddresses, "an IP address", maxCount: 2) { IPAddress($0) }
        section.read("alternate_servers", &alternateServers, maxCount: 2)
        section.read("alternate_domain", &alternateDomain)
        section.read("allow_peer_connections", &allowPeerConnections)
        section.read("allow_mobility", &allowMobility)
        section.read("nat_discovery", &natDiscovery)
        section.read("public_host", &publicHost)
        section.read("first_relay_port", &firstRelayPort, in: 1024...65535)
        section.read("last_relay_port", &lastRelayPort, in: 1024...65535)
        section.read("refused_peer_ports", &refusedPeerPorts, "a port", maxCount: 256) { UInt16($0) }
        if firstRelayPort > lastRelayPort {
            section.reject("first_relay_port", "has to be at most last_relay_port")
        }
    }
}
