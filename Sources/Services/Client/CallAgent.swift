package import Base
package import Runtime

/// A headless end of a call: it allocates a relayed transport address, exchanges descriptions with the other end by
/// whatever signalling it is given, streams Opus both ways through the relay alone, and reports what it saw.
///
/// Round trips are measured by RTCP sender reports and the LSR and DLSR of the report blocks that answer them
/// (RFC 3550 section 6.4.1), sent far more often than a call would. A stream ends with a report and BYE, so that loss
/// at its end counts too.
package struct CallAgent: Sendable {
    package enum Role: Sendable {
        /// Sends the offer.
        case caller
        /// Answers it.
        case callee
    }

    /// How descriptions travel to the other end and back.
    package struct Signalling: Sendable {
        /// Delivers our offer or answer (SDP).
        package var send: @Sendable (_ sdp: String) async throws -> Void
        /// Waits for the other end's.
        package var receive: @Sendable () async throws -> String

        package init(
            send: @escaping @Sendable (String) async throws -> Void,
            receive: @escaping @Sendable () async throws -> String
        ) {
            self.send = send
            self.receive = receive
        }
    }

    package struct Configuration: Equatable, Sendable {
        /// Wait for the other end's description.
        package var signallingTimeoutMs: Int64 = 20_000
        /// Wait for the first packet of the other end, and for its last.
        package var mediaTimeoutMs: Int64 = 5_000
        /// Wait for stragglers once the other end has said that its stream is over.
        package var stragglerTimeoutMs: Int64 = 300
        package var reportIntervalMs: Int64 = 100
        /// Permissions and channels are renewed well before the five minutes of RFC 8656.
        package var renewalIntervalMs: Int64 = 120_000

        package init() {}
    }

    package let server: SocketAddress
    package let login: RelayLogin
    package let loop: EventLoop
    package let configuration: Configuration

    package init(
        server: SocketAddress, login: RelayLogin, loop: EventLoop, configuration: Configuration = Configuration()
    ) {
        self.server = server
        self.login = login
        self.loop = loop
        self.configuration = configuration
    }

    /// Holds a call.
    ///
    /// - Parameters:
    ///   - frames: Opus packets of 20 ms, sent one after the other, from the first again when they are used up.
    ///   - duration: of our stream.
    /// - Returns: what we saw, once both streams have ended.
    package func run(
        as role: Role, frames: [[UInt8]], duration: Duration, signalling: Signalling
    ) async throws -> CallReport {
        precondition(
            !frames.isEmpty && frames.allSatisfy { $0.count <= 1275 }, "an Opus packet has at most 1,275 bytes")
        let client = try TURNClient(server: server, login: login, loop: loop)
        let task = Task(executorPreference: loop) {
            try await hold(role, client, frames, duration, signalling)
        }
        let result = await withTaskCancellationHandler {
            await task.result
        } onCancel: {
            task.cancel()
        }
        await client.close()
        return try result.get()
    }

    private func hold(
        _ role: Role, _ client: TURNClient, _ frames: [[UInt8]], _ duration: Duration, _ signalling: Signalling
    ) async throws -> CallReport {
        try await client.start()
        let relayed = try await client.allocate().relayed
        let own = CallDescription(
            address: relayed, ssrc: .random(in: 1 ... .max), session: .random(in: 1...UInt64(Int64.max)))
        let session = CallSession(client: client, own: own, configuration: configuration)
        await client.onReceive { [weak session] payload, peer in
            // Read during the call alone, on the loop that both actors live on.
            nonisolated(unsafe) let bytes = payload
            session?.assumeIsolated { $0.received(bytes, from: peer) }
        }
        switch role {
        case .caller:
            try await signalling.send(own.sdp)
            try await session.meet(try await description(from: signalling))
            await session.greet()
        case .callee:
            // Open to the caller before it knows where we are; and silent until it is open to us.
            try await session.meet(try await description(from: signalling))
            try await signalling.send(own.sdp)
            try await session.awaitFirstPacket()
        }
        return try await session.stream(frames, duration: duration)
    }

    private func description(from signalling: Signalling) async throws -> CallDescription {
        let timeout = Duration.milliseconds(configuration.signallingTimeoutMs)
        let sdp = try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask { try await signalling.receive() }
            group.addTask {
                try await loop.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let sdp else {
            throw EdgeError(.timeout, "the other end of the call did not describe itself", isRetryable: true)
        }
        guard let description = CallDescription(sdp: sdp) else {
            throw EdgeError(.invalid, "the other end's description has no address or stream that we understand")
        }
        return description
    }
}
