package import Base
import Crypto
package import RelayEngine
package import Runtime
import Synchronization

/// STUN and TURN over UDP, TCP, TLS and DTLS (RFC 8489, RFC 8656, RFC 7350): one listener per event loop on a shared port, one
/// socket per allocation, on the loop that its client's packets arrive at.
///
/// The kernel hashes a client's packets and connections onto one listener as long as their set is stable, so that a packet never changes
/// threads. What loops share is asked for new allocations only: the quota, and which relay ports are live.
package final class RelayService: Service {
    package let configuration: Configuration
    /// Where clients reach the listeners, as far as this host knows.
    package let listenAddresses: [SocketAddress]
    /// For TLS and DTLS.
    package let tlsListenAddresses: [SocketAddress]
    package let relayAddresses: RelayAddresses
    let relayLoops: [RelayLoop]
    /// Of this host, read again and again.
    private let ownAddresses = OwnAddresses()
    private let streamListeners: RelayStreamListeners
    private let tls: TLSContext?
    private let shared: RelaySharedState
    private static let ownAddressesInterval = Duration.seconds(10)
    private let logger: Logger

    /// Binds the listeners.
    ///
    /// - Parameters:
    ///   - loops: each gets a listener.
    ///   - certificates: for TLS and DTLS, where there are addresses for them.
    ///   - ownPorts: on which this process listens besides; never peers.
    /// - Throws: `EdgeError` for a configuration that cannot be, or an address that cannot be bound.
    package init(
        configuration: Configuration, certificates: RelayCertificates? = nil, loops: [EventLoop],
        ownPorts: [UInt16] = [], logger: Logger, metrics: MetricsRegistry
    ) throws {
        try configuration.check(hasCertificates: certificates != nil)
        precondition(!loops.isEmpty && loops.count <= Int(UInt8.max))
        self.configuration = configuration
        self.logger = logger

        let listeners = try Self.listen(configuration, on: configuration.listenAddresses, loops)
        listenAddresses = listeners[0].map(\.localAddress)
        let tlsListeners = try Self.listen(
            configuration, on: configuration.tlsListenAddresses, loops, statistics: listeners.map(\.[0].statistics))
        tlsListenAddresses = tlsListeners[0].map(\.localAddress)
        if case let granted = listeners[0][0].grantedBufferBytes, granted < configuration.listenerBufferBytes {
            logger.warning(
                "the kernel gives the relay's listeners smaller queues than are configured; see net.core.rmem_max, wmem_max",
                metadata: ["bytes": "\(granted)", "configured": "\(configuration.listenerBufferBytes)"])
        }

        guard let hostAddresses = HostAddresses.all() else {
            throw EdgeError(.io, "the addresses of this host cannot be read", side: .internal)
        }
        ownAddresses.replace(with: hostAddresses)
        let addresses = try configuration.addresses(listeningAt: listenAddresses, on: hostAddresses)
        relayAddresses = addresses
        let shared = RelaySharedState(
            quota: AllocationQuota(configuration.quotas, now: MonotonicClock.now()),
            admission: StreamAdmission(
                maxConnections: configuration.maxConnections,
                maxStrangersPerPrefix: configuration.maxUnauthenticatedConnectionsPerPrefix),
            streamLimits: StreamLimits(configuration),
            maxReservations: configuration.maxReservedPorts,
            hook: try configuration.authorizationHook.url.map { _ in
                try AuthorizationHook(
                    configuration: configuration.authorizationHook, loop: loops[0], logger: logger.child("relay-hook"),
                    metrics: metrics)
            },
            metrics: RelayMetrics(metrics),
            audit: RelayAudit(
                maxRecordsPerSecond: configuration.maxAuditRecordsPerSecond, logger: logger.child("relay-audit"),
                metrics: metrics))
        var rules = PeerPolicy.Rules()
        rules.allowed = configuration.allowPeers
        rules.denied = configuration.denyPeers
        rules.translationPrefixes = configuration.nat64Prefixes
        rules.ownAddresses = ownAddresses
        rules.ownPorts =
            ownPorts + configuration.refusedPeerPorts + (listenAddresses + tlsListenAddresses).map(\.port)
        rules.allowsLoopback = configuration.allowLoopbackPeers
        let policy = PeerPolicy(
            addresses: addresses, rules: rules, relayedPorts: shared.ports)
        self.shared = shared
        metrics.computed("skerry_relay_draining", "Whether new allocations are refused: 1 or 0") {
            shared.isDraining.load(ordering: .relaxed) ? 1 : 0
        }
        var engine = configuration.engine(
            nonceSecret: randomBytes(20), ticketKey: randomBytes(32), asksOperator: shared.hook != nil)
        if configuration.natDiscovery {
            guard let discovery = DiscoveryListeners(among: listenAddresses) else {
                throw EdgeError(
                    .invalid, "nat_discovery needs listen_addresses of two IP addresses with the same two ports each",
                    side: .internal)
            }
            engine.discovery = discovery
        }
        let relayLoops = listeners.enumerated().map { index, listeners in
            RelayLoop(
                index: index, listeners: listeners,
                engine: RelayEngine(configuration: engine, policy: policy, loopIndex: UInt8(index)),
                configuration: configuration, shared: shared, logger: logger)
        }
        if let dtls = try certificates?.dtlsContext() {
            for (relayLoop, sockets) in zip(relayLoops, tlsListeners) {
                relayLoop.dtlsFronts = sockets.enumerated().map { index, socket in
                    RelayDTLSFront(
                        socket, listener: UInt8(index), on: relayLoop, context: dtls,
                        maxAssociations: configuration.maxConnections)
                }
            }
        }
        let tls = try certificates?.tlsContext()
        streamListeners = try RelayStreamListeners(
            plain: listenAddresses, secured: tlsListenAddresses, tls: tls, relayLoops: relayLoops,
            backlog: configuration.listenBacklog)
        self.relayLoops = relayLoops
        self.tls = tls
        shared.meet(relayLoops)
    }

    /// Shows other certificates to clients that come from here on.
    ///
    /// - Throws: when one is not what it should be; nothing is replaced then.
    package func replace(_ certificates: RelayCertificates) throws {
        guard let tls else { return }
        let dtls = try certificates.dtlsContext()
        try certificates.replace(in: tls)
        for relayLoop in relayLoops { relayLoop.replace(dtls) }
    }

    /// The listeners of each loop, one for each address.
    private static func listen(
        _ configuration: Configuration, on addresses: [SocketAddress], _ loops: [EventLoop],
        statistics: [DatagramStatistics] = []
    ) throws -> [[UDPSocket]] {
        // Port 0 is for UDP and TCP the same.
        let addresses = try addresses.map { try $0.withFreePort() }
        var listeners: [[UDPSocket]] = []
        for (loopIndex, loop) in loops.enumerated() {
            let counts = statistics.isEmpty ? DatagramStatistics() : statistics[loopIndex]
            var own: [UDPSocket] = []
            for index in addresses.indices {
                do {
                    let listener = try UDPSocket(
                        bind: addresses[index], on: loop, reusePort: true, isFirst: listeners.isEmpty,
                        bufferBytes: configuration.listenerBufferBytes,
                        sendBufferBytes: configuration.listenerBufferBytes,
                        statistics: counts)
                    own.append(listener)
                } catch {
                    throw EdgeError(
                        .io, "the relay cannot listen on \(addresses[index])", side: .internal, cause: error)
                }
            }
            listeners.append(own)
        }
        return listeners
    }

    /// Relays until the shutdown is requested; then lets allocations go on until they end or the drain timeout is over.
    package func run(until shutdown: Shutdown) async throws {
        defer { shared.part() }
        do {
            try await relay(until: shutdown)
        } catch {
            await stop()
            throw error
        }
        await stop()
    }

    private func stop() async {
        streamListeners.close()
        for relayLoop in relayLoops { await relayLoop.stop() }
    }

    private func relay(until shutdown: Shutdown) async throws {
        for relayLoop in relayLoops { try await relayLoop.start() }
        logger.info(
            "relaying",
            metadata: [
                "listen": "\(listenAddresses.map(\.description).joined(separator: " "))",
                "tls": "\(tlsListenAddresses.map(\.description).joined(separator: " "))",
                "relayed": "\(relayAddresses.relayed.map(\.description).joined(separator: " "))",
                "loops": "\(relayLoops.count)",
            ])
        let watch = Task { [ownAddresses, loop = relayLoops[0].loop] in
            while true {
                try await loop.sleep(for: Self.ownAddressesInterval)
                if let addresses = HostAddresses.all() { ownAddresses.replace(with: addresses) }
            }
        }
        defer { watch.cancel() }
        await shutdown.wait()
        setDraining(true)
        let deadline = MonotonicClock.now() + .milliseconds(configuration.drainTimeoutMs)
        while shared.allocationCount > 0, MonotonicClock.now() < deadline {
            try await relayLoops[0].loop.sleep(for: .milliseconds(20))
        }
        if shared.allocationCount > 0 {
            logger.warning("allocations are cut off", metadata: ["count": "\(shared.allocationCount)"])
        }
    }

    /// Whether new allocations are refused; live ones go on.
    package var isDraining: Bool { shared.isDraining.load(ordering: .relaxed) }

    package func setDraining(_ isDraining: Bool) {
        if shared.isDraining.exchange(isDraining, ordering: .relaxed) != isDraining {
            logger.notice(
                isDraining ? "draining: no new allocations" : "no longer draining",
                metadata: ["allocations": "\(allocationCount)"])
        }
        for relayLoop in relayLoops { relayLoop.setDraining(isDraining) }
    }

    /// Allocations of the node.
    package var allocationCount: Int { shared.allocationCount }
    /// Clients' connections over TCP and TLS.
    package var connectionCount: Int { shared.admission.total }
}

extension RelayService.Configuration {
    private func require(_ condition: Bool, _ message: String) throws {
        if !condition { throw EdgeError(.invalid, message, side: .internal) }
    }

    /// Where relay sockets are, and what clients are told of it: as configured, else the address of the family's listener, or
    /// where that is every address, the first of the host that is not loopback.
    func addresses(
        listeningAt listeners: [SocketAddress], on hostAddresses: [IPAddress]
    ) throws -> RelayAddresses {
        func address(_ family: IPAddress.Family) throws -> RelayAddress? {
            let listener = listeners.first { $0.ip.family == family }?.ip
            let external = externalAddresses.first { $0.family == family }
            let implied = listener.map {
                $0.isUnspecified ? HostAddresses.preferred(family, of: hostAddresses) : $0
            }
            guard let bound = relayAddresses.first(where: { $0.family == family }) ?? implied else {
                try require(external == nil, "an external address needs a relay address or a listener of its family")
                return nil
            }
            return RelayAddress(relayed: external ?? bound, bound: bound)
        }
        return RelayAddresses(v4: try address(.v4), v6: try address(.v6))
    }

    func check(hasCertificates: Bool) throws {
        try require(
            (1...Self.maxListeners).contains(listenAddresses.count)
                && tlsListenAddresses.count <= Self.maxListeners,
            "the relay has to have 1 to \(Self.maxListeners) addresses to listen on")
        try require(tlsListenAddresses.isEmpty || hasCertificates, "the relay has to have a certificate for TLS")
        for family in [IPAddress.Family.v4, .v6] {
            try require(
                relayAddresses.count { $0.family == family } <= 1
                    && externalAddresses.count { $0.family == family } <= 1,
                "there may be one relay address and one external address of a family")
            try require(
                alternateServers.count { $0.ip.family == family } <= 1, "there may be one alternate server of a family")
        }
        try checkCredentials()
        try require(
            firstRelayPort >= 1024 && firstRelayPort <= lastRelayPort,
            "the relay ports have to be a range that begins at 1024 or above")
        try require(
            !(relayAddresses + externalAddresses).contains(where: \.isUnspecified),
            "a relay address has to be one address")
        try require(
            nat64Prefixes.allSatisfy(\.isTranslationPrefix), "a NAT64 prefix has to have 32, 40, 48, 56, 64 or 96 bits")
        try require(
            defaultLifetimeSeconds >= 1 && defaultLifetimeSeconds <= maxLifetimeSeconds && maxLifetimeSeconds <= 86_400,
            "an allocation's default life has to be at most the longest life, and that at most a day")
        try require(
            [
                nonceLifetimeMs, maxReservedPorts, maxAllocations, maxAllocationsPerTenant, maxAllocationsPerUser,
                maxPermissionsPerAllocation,
                maxChannelsPerAllocation, maxConnectionsPerAllocation, maxConnections,
                maxUnauthenticatedConnectionsPerPrefix,
                Int(handshakeTimeoutMs), Int(unauthenticatedTimeoutMs), connectionQueueBytes, listenBacklog,
                unauthenticatedAnswersPerSecond, unauthenticatedAnswersBurst, Int(credentialLifetimeSeconds),
            ].allSatisfy { (1...Int(UInt32.max)).contains($0) }, "the relay's limits have to be 1 or more")
    }

    func engine(
        nonceSecret: [UInt8], ticketKey: [UInt8], asksOperator: Bool
    ) -> RelayEngine.Configuration {
        var engine = RelayEngine.Configuration(
            realms: engineRealms(asksOperator: asksOperator), nonceSecret: nonceSecret,
            nonceLifetimeMs: nonceLifetimeMs,
            defaultLifetimeSeconds: defaultLifetimeSeconds, maxLifetimeSeconds: maxLifetimeSeconds,
            maxPermissionsPerAllocation: maxPermissionsPerAllocation,
            maxChannelsPerAllocation: maxChannelsPerAllocation,
            allowsFormerChannelNumbers: allowRFC5766ChannelNumbers,
            unauthenticatedAnswersPerSecond: unauthenticatedAnswersPerSecond,
            unauthenticatedAnswersBurst: unauthenticatedAnswersBurst, ticketKey: ticketKey)
        engine.maxAuthorizations = maxAuthorizations
        engine.maxRevocations = maxRevocations
        engine.credentialLifetimeSeconds = credentialLifetimeSeconds
        engine.maxConnectionsPerAllocation = maxConnectionsPerAllocation
        engine.allowsMobility = allowMobility
        engine.allowsTCPAllocations = allowPeerConnections
        engine.alternateServers = alternateServers
        engine.alternateDomain = alternateDomain
        return engine
    }
}
