package import Base
package import Runtime
import Synchronization
package import Wire

/// The central's side of the uplink: proves who an edge is, keeps the table of links, and hands what they send to the handler.
package final class UplinkServer: Sendable {
    package struct Configuration: Equatable, Sendable {
        /// Edges that may be connected.
        package var maxLinks = 1024
        /// Requests and notices of one link that may be under way; above it the link is not read.
        package var maxInFlightPerLink = 4096
        /// Bytes that may wait for an edge that reads slowly; above it the link is closed.
        package var maxQueuedBytesPerLink = 64 * 1024 * 1024
        /// A link that has been silent for so long is closed; edges send a ping every second.
        package var deadAfterMs = 4000

        package init() {}
    }

    struct Entry {
        var link: UplinkLink
        var channel: UplinkChannel
    }

    private let configuration: Configuration
    let cluster: String
    let acceptedVersions: [UInt32]
    let handler: any UplinkHandler
    let logger: Logger
    let metrics: UplinkMetrics
    /// By the name of the node.
    private let entries = Mutex<[String: Entry]>([:])
    /// Held while the handler is told of links, so that it hears of them in order.
    private let transitions = Mutex<UInt64>(0)

    package init(
        configuration: Configuration, cluster: String, handler: any UplinkHandler, logger: Logger,
        metrics: MetricsRegistry, acceptedVersions: [UInt32] = UplinkProtocol.acceptedVersions
    ) {
        self.configuration = configuration
        self.cluster = cluster
        self.acceptedVersions = acceptedVersions
        self.handler = handler
        self.logger = logger
        self.metrics = UplinkMetrics(metrics, side: "central")
    }

    /// The edges that are connected.
    package var edges: [EdgeDescription] {
        entries.withLock { $0.values.map(\.link.node) }.sorted { $0.name < $1.name }
    }

    /// Closes every link, for a shutdown.
    package func closeAll() {
        for entry in entries.withLock({ Array($0.values) }) { entry.channel.close() }
    }

    /// Serves a stream whose handshake is done and whose ALPN protocol is `UplinkProtocol.applicationProtocol`, on its loop,
    /// until it ends.
    package func serve(_ stream: ByteStream) async {
        let channel = UplinkChannel(
            stream, maxQueuedBytes: configuration.maxQueuedBytesPerLink,
            deadAfter: .milliseconds(configuration.deadAfterMs))
        defer { channel.close() }
        guard let identity = edgeIdentity(stream.tls) else {
            metrics.refused.increment()
            logger.warning(
                "refused an uplink: no certificate of an edge of this cluster",
                metadata: ["peer": "\(stream.remoteAddress)", "uris": "\(stream.tls?.certificateURIs ?? [])"])
            return
        }
        channel.watch()
        do {
            guard let (requestID, hello) = try await receiveHello(channel) else { return }
            let version: UInt32
            switch judge(hello, identity) {
            case .refused(let failure):
                metrics.refused.increment()
                logger.warning(
                    "refused an uplink", metadata: ["node": identity.uri, "reason": failure.message])
                try await channel.sendFirst(.response(id: requestID, .failed(failure)))
                await channel.finish()
                return
            case .accepted(let chosen): version = chosen
            }
            let link = enter(identity, hello, channel)
            defer { leave(link) }
            let ack = UplinkHelloAck(version: version, cluster: cluster, serverTime: WallClock.now(), edges: edges)
            try await channel.sendFirst(.response(id: requestID, .helloAck(ack)))
            channel.loop.spawn { await channel.write() }
            try await UplinkDispatcher(
                server: self, link: link, channel: channel, maxInFlight: configuration.maxInFlightPerLink
            ).run()
        } catch {
            logger.info("an uplink ended", metadata: ["node": identity.uri, "reason": "\(error)"])
        }
    }

    private func edgeIdentity(_ peer: TLSPeer?) -> NodeIdentity? {
        guard let peer, peer.applicationProtocol == UplinkProtocol.applicationProtocol,
            peer.certificateURIs.count == 1, let identity = NodeIdentity(uri: peer.certificateURIs[0]),
            identity.cluster == cluster, !identity.isCentral
        else { return nil }
        return identity
    }

    private func receiveHello(_ channel: UplinkChannel) async throws -> (UInt64, UplinkHello)? {
        guard let (head, body) = try await channel.receive() else { return nil }
        guard case .request(let id, .hello(let hello)) = try UplinkFrame(head, body: body) else {
            throw EdgeError(.invalid, "the first frame of a link is no hello")
        }
        return (id, hello)
    }

    private enum Judgement {
        case accepted(version: UInt32)
        case refused(UplinkFailure)
    }

    private func judge(_ hello: UplinkHello, _ identity: NodeIdentity) -> Judgement {
        guard hello.node == identity.name, hello.region == identity.region else {
            return .refused(
                UplinkFailure(
                    .forbidden,
                    "the hello says \(hello.region)/\(hello.node), the certificate \(identity.region)/\(identity.name)")
            )
        }
        guard let version = UplinkProtocol.choose(hello.versions, accepted: acceptedVersions) else {
            let allowed = acceptedVersions.map { "\($0)" }.joined(separator: ", ")
            let offered = hello.versions.map { "\($0)" }.joined(separator: ", ")
            return .refused(
                UplinkFailure(.invalid, "the edge speaks uplink versions \(offered); allowed: \(allowed)"))
        }
        let isFull = entries.withLock { $0.count >= configuration.maxLinks && $0[identity.name] == nil }
        guard !isFull else {
            return .refused(
                UplinkFailure(.exhausted, "\(configuration.maxLinks) edges are connected; allowed: as many"))
        }
        return .accepted(version: version)
    }

    // MARK: The table of links

    private func enter(_ identity: NodeIdentity, _ hello: UplinkHello, _ channel: UplinkChannel) -> UplinkLink {
        let (link, older) = transitions.withLock { nextID in
            nextID += 1
            let link = UplinkLink(
                id: nextID, identity: identity, hello: hello,
                deliver: { [weak self, weak channel] in self?.deliver($0, channel) ?? false },
                end: { [weak channel] in channel?.close() })
            let older = entries.withLock { $0.updateValue(Entry(link: link, channel: channel), forKey: identity.name) }
            if let older { handler.linkIsDown(older.link) }
            handler.linkIsUp(link)
            return (link, older)
        }
        older?.channel.close()
        metrics.links.set(Int64(entries.withLock { $0.count }))
        logger.info("an edge is connected", metadata: ["node": identity.uri, "build": hello.build])
        announceEdges()
        return link
    }

    private func leave(_ link: UplinkLink) {
        let isLast = transitions.withLock { _ in
            let isCurrent = entries.withLock { entries in
                guard entries[link.identity.name]?.link == link else { return false }
                entries[link.identity.name] = nil
                return true
            }
            if isCurrent { handler.linkIsDown(link) }
            return isCurrent
        }
        guard isLast else { return }
        metrics.links.set(Int64(entries.withLock { $0.count }))
        logger.info("an edge is gone", metadata: ["node": link.identity.uri])
        announceEdges()
    }

    private func announceEdges() {
        let edges = edges
        for entry in entries.withLock({ Array($0.values) }) { entry.link.send(.edges(edges)) }
    }

    private func deliver(_ notice: CentralNotice, _ channel: UplinkChannel?) -> Bool {
        guard let channel else { return false }
        do {
            metrics.framesSent.increment()
            return try channel.send(.centralNotice(notice))
        } catch {
            logger.error("a notice for an edge is too large and was dropped")
            return false
        }
    }
}
