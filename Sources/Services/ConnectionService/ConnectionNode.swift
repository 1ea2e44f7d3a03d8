import Base
import Runtime
import Synchronization
import Tokens
import UplinkService
import Wire

/// What the connections of a node share.
final class ConnectionNode: Sendable {
    private struct Tables {
        var connections: [ObjectIdentifier: ClientConnection] = [:]
        /// By the number of the session on the uplink.
        var sessions: [UInt64: ClientConnection] = [:]
        var nextSession: UInt64 = 1
        var isDraining = false
    }

    let configuration: ConnectionService.Configuration
    let uplink: any Uplink
    let metrics: ConnectionMetrics
    let budget: ByteBudget
    private let verifier: TokenVerifier
    private let tables = Mutex(Tables())

    init(
        configuration: ConnectionService.Configuration, uplink: any Uplink, verifier: TokenVerifier,
        metrics: ConnectionMetrics
    ) {
        self.configuration = configuration
        self.uplink = uplink
        self.verifier = verifier
        self.metrics = metrics
        budget = ByteBudget(limit: configuration.maxUnansweredBytesPerNode)
        uplink.observe { [weak self] event in self?.receive(event) }
    }

    /// The central's clock, or this host's until the central has told.
    func centralTime() -> WallTime { uplink.clock.reading?.time ?? WallClock.now() }

    /// - Throws: `EdgeError` `.unauthenticated`.
    func authenticate(_ token: String) throws(EdgeError) -> Claims {
        do {
            return try verifier.verify(token, now: centralTime())
        } catch {
            throw EdgeError(.unauthenticated, "\(error)")
        }
    }

    // MARK: Connections

    enum Admission {
        case admitted
        case draining
        case full
    }

    /// Whether another connection would be taken.
    var admission: Admission {
        tables.withLock { tables in
            if tables.isDraining { return .draining }
            return tables.connections.count < configuration.maxConnections ? .admitted : .full
        }
    }

    func add(_ connection: ClientConnection) -> Admission {
        let (admission, count) = tables.withLock { tables -> (Admission, Int) in
            if tables.isDraining { return (.draining, 0) }
            guard tables.connections.count < configuration.maxConnections else { return (.full, 0) }
            tables.connections[ObjectIdentifier(connection)] = connection
            return (.admitted, tables.connections.count)
        }
        if case .admitted = admission { metrics.connections.set(Int64(count)) }
        return admission
    }

    func remove(_ connection: ClientConnection) {
        let count = tables.withLock { tables in
            tables.connections[ObjectIdentifier(connection)] = nil
            return tables.connections.count
        }
        metrics.connections.set(Int64(count))
    }

    var connectionCount: Int { tables.withLock { $0.connections.count } }

    /// Takes no connection any more.
    func beginDrain() -> [ClientConnection] {
        tables.withLock { tables in
            tables.isDraining = true
            return Array(tables.connections.values)
        }
    }

    // MARK: Sessions

    func newSession(_ connection: ClientConnection) -> UInt64 {
        tables.withLock { tables in
            defer { tables.nextSession += 1 }
            tables.sessions[tables.nextSession] = connection
            return tables.nextSession
        }
    }

    func forget(_ session: UInt64) {
        _ = tables.withLock { $0.sessions.removeValue(forKey: session) }
    }

    private func receive(_ event: UplinkEvent) {
        switch event {
        case .notice(.sessionFrame(let session, let frame)):
            tables.withLock { $0.sessions[session] }?.receive(frame, session: session)
        case .notice(.sessionClose(let close)):
            tables.withLock { $0.sessions[close.session] }?.receive(close)
        case .notice(.mediaPurge), .notice(.edges): break
        case .disconnected:
            for connection in tables.withLock({ Array($0.connections.values) }) { connection.linkIsLost() }
        case .connected:
            // One after the other, so that the central is not met by all at once.
            let connections = tables.withLock { Array($0.connections.values) }
            for (index, connection) in connections.enumerated() {
                let delay = Duration.microseconds(index * 1_000_000 / max(1, configuration.maxReopensPerSecond))
                connection.linkIsUp(after: delay)
            }
        }
    }
}

/// Bytes that many owners hold together.
final class ByteBudget: Sendable {
    private let limit: Int
    private let held = Atomic<Int>(0)

    init(limit: Int) { self.limit = limit }

    var hasRoom: Bool { held.load(ordering: .relaxed) < limit }
    var count: Int { held.load(ordering: .relaxed) }

    func add(_ bytes: Int) {
        if bytes != 0 { held.add(bytes, ordering: .relaxed) }
    }
}
