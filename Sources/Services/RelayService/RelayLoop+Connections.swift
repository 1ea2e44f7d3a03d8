import Base
import RelayEngine
import Runtime

/// TCP allocations (RFC 6062): connections with peers, and the data connections of clients.
extension RelayLoop {
    // MARK: - On the loop of the allocation

    /// Connects to the peer, and answers when it is known what came of it.
    func connect(_ pending: PendingConnection) {
        guard let endpoint = relays[pending.allocation]?.endpoint else { return }
        endpoint.connect(to: pending.destination, timeout: RelayEngine.connectionTimeout) { [self] connection in
            guard let connection, engine.holds(pending.allocation) else { return complete(pending, nil) }
            let id = keep(
                connection, peer: pending.peer, owner: pending.owner, of: pending.allocation,
                over: pending.tuple.transport)
            complete(pending, id)
        }
    }

    private func complete(_ pending: PendingConnection, _ connectionID: UInt32?) {
        guard let count = engine.completeConnection(pending, connectionID: connectionID, into: output) else { return }
        respond(count, to: pending.tuple)
    }

    /// Has the endpoint accept connections of peers.
    func adopt(_ endpoint: TCPEndpoint, into sockets: RelaySockets) {
        do {
            try endpoint.start { [self] connection, peer in
                guard let id = sockets.id,
                    let (peer, owner, transport) = engine.acceptConnection(id, from: peer, now: loop.now)
                else { return }
                let connectionID = keep(connection, peer: peer, owner: owner, of: id, over: transport)
                let (count, tuple) = engine.announceConnection(
                    id, from: peer, connectionID: connectionID, into: output)
                respond(count, to: tuple)
            }
            sockets.endpoint = endpoint
        } catch {
            logger.warning("a relay socket cannot accept", metadata: ["error": "\(error)"])
            endpoint.close()
        }
    }

    /// Has the connection wait for its client; returns its CONNECTION-ID.
    private func keep(
        _ connection: consuming OwnedDescriptor, peer: SocketAddress, owner: ConnectionOwner, of id: AllocationID,
        over transport: FiveTuple.Transport
    ) -> UInt32 {
        let added = shared.connections.add(
            connection, peer: peer, owner: owner, of: id, over: transport,
            limits: engine.bandwidthLimits(of: id), on: self)
        relays[id]?.connections[peer] = added
        loop.schedule(after: RelayEngine.connectionTimeout) { [self] in
            guard added.isWaiting else { return }
            added.end()
            connectionEnded(added)
        }
        return added.id
    }

    /// A connection of one of this loop's allocations has ended.
    func connectionEnded(_ connection: PeerConnection) {
        shared.connections.remove(connection)
        let id = connection.allocation
        // Its timer and its end may both tell; the next one with this peer is another.
        guard !engine.holds(id) || relays[id]?.connections[connection.peer] === connection else { return }
        engine.carried(connection.takeBytes(), for: id, over: connection.transport)
        engine.connectionEnded(id, with: connection.peer)
        if engine.holds(id) { relays[id]?.connections[connection.peer] = nil }
    }

    /// Tells the engine what has passed over connections. Called about once a second.
    func countConnectionBytes() {
        relays.forEach { sockets in
            guard let id = sockets.id, !sockets.connections.isEmpty else { return }
            for connection in sockets.connections.values {
                engine.carried(connection.takeBytes(), for: id, over: connection.transport)
            }
        }
    }

    /// The allocation of these sockets is gone.
    ///
    /// - Returns: what has passed over its connections since the engine was told.
    func endConnections(_ sockets: RelaySockets) -> ConnectionBytes {
        var bytes = ConnectionBytes()
        for connection in sockets.connections.values {
            shared.connections.remove(connection)
            connection.end()
            let rest = connection.takeBytes()
            engine.carried(rest, for: connection.allocation, over: connection.transport)
            bytes += rest
        }
        sockets.connections = [:]
        return bytes
    }

    // MARK: - On the loop of the data connection

    /// Joins the client's connection with the peer's.
    ///
    /// - Returns: the size of the answer in `output`, behind which the peer's bytes follow.
    func bind(_ pending: PendingBinding) -> Int {
        let pipe = join(pending)
        if let pipe { streams[pending.tuple]?.carries(pipe) }
        return engine.completeBinding(pending, isBound: pipe != nil, into: output)
    }

    private func join(_ pending: PendingBinding) -> DataPipe? {
        // Not one to which an allocation of the client is on its way.
        guard arrivals[pending.tuple] == nil, let stream = streams[pending.tuple]?.stream,
            let connection = shared.connections.claim(pending.connectionID, owner: pending.owner),
            let descriptor = connection.take()
        else { return nil }
        guard let peer = try? ByteStream(adopting: descriptor, on: loop) else {
            connection.end()
            connection.report()
            return nil
        }
        let pipe = DataPipe(connection, client: stream, peer: peer)
        guard connection.isCarried(by: pipe) else {
            pipe.close()
            return nil
        }
        return pipe
    }
}
