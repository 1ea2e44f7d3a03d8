package import Base
package import HTTP
package import Runtime
package import Wire

/// A device's connection: requests with answers, and everything else as events. It stays connected by itself: after a loss
/// it tries the edges in turn, resumes behind the last acknowledged delivery, and sends unanswered requests again,
/// which is harmless because their ids are the same.
package actor MessagingClient {
    package struct Configuration: Equatable, Sendable {
        /// Requests without an answer; further ones fail at once.
        package var maxPendingRequests = 256
        /// Events that nobody has taken yet; when full, the client stops reading from the server.
        package var maxQueuedEvents = 1024
        package var requestTimeoutMs: Int64 = 20_000
        package var welcomeTimeoutMs: Int64 = 10_000
        package var firstReconnectDelayMs: Int64 = 100
        package var maxReconnectDelayMs: Int64 = 10_000
        package var maxFrameBytes = WireLimits.maxServerTextFrameBytes

        package init() {}
    }

    struct Pending {
        /// Of the requests, so that they are sent again in the order in which they were made.
        let number: UInt64
        let frame: ClientFrame
        let continuation: CheckedContinuation<ServerFrame, any Error>
        let timeout: Task<Void, Never>
    }

    /// What the server said, and what became of the connection. One consumer.
    package nonisolated let events: EventQueue<MessagingEvent>
    package nonisolated let loop: EventLoop

    let urls: [String]
    let clientName: String
    let configuration: Configuration
    let http: HTTPClient
    let token: String
    var socket: WebSocket?
    var pending: [UUID: Pending] = [:]
    private var requests: UInt64 = 0
    var resumeToken: String?
    var acknowledged: UInt64 = 0
    var end: MessagingEnd?
    private var connection: Task<Void, Never>?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - baseURLs: of edges, without a path; the first is tried first.
    ///   - http: of the same loop.
    package init(
        baseURLs: [String], token: String, clientName: String, http: HTTPClient, loop: EventLoop,
        configuration: Configuration = Configuration()
    ) {
        precondition(!baseURLs.isEmpty)
        urls = baseURLs.map { ($0.hasSuffix("/") ? String($0.dropLast()) : $0) + "/connect" }
        self.token = token
        self.clientName = clientName
        self.http = http
        self.loop = loop
        self.configuration = configuration
        events = EventQueue(capacity: configuration.maxQueuedEvents)
    }

    /// Begins to connect. The events say when it has, or that the server refuses.
    package func start() {
        guard connection == nil, end == nil else { return }
        connection = Task(executorPreference: loop) { await self.stayConnected() }
    }

    /// Closes the connection and ends the events.
    package func close() async {
        finish(.closedHere)
        connection?.cancel()
        // Whoever waits for room in the queue goes on.
        events.end()
        if let socket { await socket.close(code: 1000, reason: "") }
        socket = nil
        await connection?.value
        connection = nil
    }

    // MARK: Requests

    /// Returns when the message is durable at the server.
    package func send(
        _ payload: [UInt8], to address: PeerAddress, class messageClass: MessageClass = .message,
        expiresInSeconds: Int64? = nil, id: UUID? = nil
    ) async throws -> ServerFrame.Accepted {
        try await accepted(
            .send(
                ClientFrame.Send(
                    id: id ?? newID(), to: address, messageClass: messageClass, payload: payload,
                    expiresInSeconds: expiresInSeconds)))
    }

    /// Everything up to and including this delivery is in the caller's hands, and will not come again.
    package func acknowledge(_ sequence: UInt64) async {
        guard sequence > acknowledged else { return }
        acknowledged = sequence
        try? await transmit(.ack(sequence: sequence))
    }

    /// - Returns: with the status' id, and when it expires by the server's clock.
    package func postStatus(
        audience: [String], media: MediaID? = nil, payload: [UInt8]? = nil, expiresInMilliseconds: Int64? = nil
    ) async throws -> ServerFrame.Accepted {
        try await accepted(
            .statusPost(
                ClientFrame.StatusPost(
                    id: newID(), audience: audience, media: media, payload: payload,
                    expiresInMilliseconds: expiresInMilliseconds)))
    }

    /// - Parameter user: whose; everybody's that this user may see if nil.
    package func listStatuses(of user: String? = nil) async throws -> [ServerFrame.StatusItem] {
        let answer = try await request(.statusList(ClientFrame.StatusList(id: newID(), user: user)))
        guard case .statusItems(let items) = answer else { throw unexpected(answer) }
        return items.items
    }

    package func deleteStatus(_ status: UUID) async throws {
        _ = try await accepted(.statusDelete(ClientFrame.StatusDelete(id: newID(), status: status)))
    }

    package func signal(call: UUID, _ event: CallEvent, to address: PeerAddress, data: [UInt8] = []) async throws {
        _ = try await accepted(
            .call(ClientFrame.CallSignal(id: newID(), call: call, event: event, to: address, data: data)))
    }

    private func newID() -> UUID { UUID.v7(at: WallClock.now()) }

    private func accepted(_ frame: ClientFrame) async throws -> ServerFrame.Accepted {
        let answer = try await request(frame)
        guard case .accepted(let accepted) = answer else { throw unexpected(answer) }
        return accepted
    }

    private func unexpected(_ frame: ServerFrame) -> EdgeError {
        EdgeError(.corrupt, "the server answered with another kind of frame", side: .upstream)
    }

    private func request(_ frame: ClientFrame) async throws -> ServerFrame {
        guard let id = frame.id else { preconditionFailure("a request has an id") }
        if let end { throw end }
        guard pending.count < configuration.maxPendingRequests else {
            throw EdgeError(
                .exhausted, "\(pending.count) requests are waiting for answers", side: .internal, isRetryable: true)
        }
        return try await withCheckedThrowingContinuation { continuation in
            let timeout = Task(executorPreference: loop) {
                try? await self.loop.sleep(for: .milliseconds(self.configuration.requestTimeoutMs))
                if !Task.isCancelled { await self.expire(id) }
            }
            requests += 1
            pending[id] = Pending(number: requests, frame: frame, continuation: continuation, timeout: timeout)
            // Without a connection, or if it breaks now, the frame is sent with the next one.
            Task(executorPreference: loop) { try? await self.transmit(frame) }
        }
    }

    private func expire(_ id: UUID) {
        guard let request = pending.removeValue(forKey: id) else { return }
        request.continuation.resume(
            throwing: EdgeError(.timeout, "no answer from the server", side: .upstream, isRetryable: true))
    }
}
