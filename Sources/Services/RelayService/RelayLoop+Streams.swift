import Base
import RelayEngine
import Runtime

/// Clients over TCP, TLS and DTLS.
extension RelayLoop {
    /// From any thread: shows another certificate to clients over DTLS from here on.
    func replace(_ context: DTLSContext) {
        loop.execute {
            for front in self.dtlsFronts { front.replace(context) }
        }
    }

    // MARK: - Streams

    /// Takes a connection that came to one of the listeners.
    ///
    /// - Parameter tls: nil for plain TCP.
    func accept(_ stream: ByteStream, listener: UInt8, tls: TLSContext?) {
        let transport: FiveTuple.Transport = tls == nil ? .tcp : .tls
        let tuple = FiveTuple(
            client: stream.remoteAddress, server: stream.localAddress, transport: transport, listener: listener,
            realm: realmChoice.realm(of: transport, listener: listener))
        // Under TLS every connection costs a signature: strangers have as many as answers.
        guard !hasEnded, streams[tuple] == nil,
            tls == nil || engine.admitsStranger(tuple.client.ip, now: loop.now),
            shared.admission.admits(tuple.client.ip)
        else {
            shared.metrics.refusedConnection(tuple.transport)
            return stream.close()
        }
        shared.metrics.openedConnection(tuple.transport)
        let connection = RelayStreamConnection(stream, tuple, on: self, limits: shared.streamLimits)
        streams[tuple] = connection
        Task(executorPreference: loop) { [self] in
            await connection.run(tls)
            end(connection)
        }
    }

    /// The client's handshake is complete: the name that it asked for may have a realm of its own.
    func isSecured(_ connection: RelayStreamConnection) {
        // A realm is no part of what a 5-tuple is known by.
        connection.tuple.realm = realmChoice.realm(
            of: .tls, listener: connection.tuple.listener, serverName: connection.stream.requestedServerName)
    }

    private func end(_ connection: RelayStreamConnection) {
        let tuple = connection.tuple
        connection.stream.close()
        streams[tuple] = nil
        shared.admission.release(tuple.client.ip, wasKnown: connection.isKnown)
        shared.metrics.closedConnection(tuple.transport)
        clientGone(tuple)
        if streams.isEmpty, let waiter = streamsWaiter {
            streamsWaiter = nil
            waiter.resume()
        }
    }

    /// Closes every connection, and tells when nothing is left of them.
    func endStreams(_ waiter: CheckedContinuation<Void, Never>) {
        for connection in streams.values { connection.stream.close() }
        if streams.isEmpty { waiter.resume() } else { streamsWaiter = waiter }
    }

    func streamIsKnown(_ connection: RelayStreamConnection) { shared.admission.isKnown(connection.tuple.client.ip) }

    /// Handshakes that fail and messages that are none: usual on a public port.
    func streamFailed(_ connection: RelayStreamConnection, _ error: any Error) {
        logger.debug(
            "a client's connection has failed",
            metadata: ["transport": "\(connection.tuple.transport)", "error": "\(error)"])
    }

    // MARK: - Clients

    /// Whether an allocation belongs to the client, or is to come here with it.
    func isInUse(_ tuple: FiveTuple) -> Bool {
        engine.hasAllocation(of: tuple, now: loop.now) || arrivals[tuple] != nil
    }

    /// Whether the client's connection stands, for messages; over UDP there is none.
    func isConnected(_ tuple: FiveTuple) -> Bool {
        switch tuple.transport {
        case .udp: true
        case .tcp, .tls: streams[tuple].map { !$0.isCarrying } ?? false
        case .dtls: Int(tuple.listener) < dtlsFronts.count && dtlsFronts[Int(tuple.listener)].isConnected(tuple.client)
        }
    }

    /// The client's connection has ended: its allocation ends with it, unless it may move (RFC 8656 section 3.1, RFC 8016).
    func clientGone(_ tuple: FiveTuple) {
        if let closed = engine.disconnect(tuple, now: loop.now) { close(closed) }
        // An allocation that was to come to this 5-tuple does not: the next connection with it may be another client's.
        if let arrival = arrivals.removeValue(forKey: tuple) {
            let former = arrival.former
            former.loop.execute { former.clientGone(tuple) }
        }
    }

    /// Sends to a client over its connection.
    ///
    /// - Parameter isAnswer: a client that does not even read answers is given up; what is relayed to it may get lost.
    func respond(overConnection message: UnsafeRawBufferPointer, to tuple: FiveTuple, isAnswer: Bool) {
        if tuple.transport == .dtls {
            if Int(tuple.listener) < dtlsFronts.count {
                dtlsFronts[Int(tuple.listener)].send(message, to: tuple.client)
            }
        } else if let connection = streams[tuple], !connection.send(message) {
            if isAnswer { connection.stream.close() } else { engine.dropped(.clientTooSlow) }
        }
    }
}
