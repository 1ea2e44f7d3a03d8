package import Base
package import HTTP
import HTTPCodec
import JSONCodec
package import Runtime
package import Tokens
package import UplinkService
import Wire

/// The connection layer of an edge: WebSockets of clients, whose frames go to the central and back.
package final class ConnectionService: Service {
    package struct Configuration: Equatable, Sendable {
        /// WebSockets that may be open at this node.
        package var maxConnections = 10_000
        /// From the handshake to the hello.
        package var helloTimeoutMs = 10_000
        /// Frames of one client; more than this over a burst closes it with 4429.
        package var maxFramesPerSecond = 200
        package var maxFrameBurst = 1000
        /// Frames of one client that the central is asked at a time; the others wait for their turn.
        package var maxFramesInFlightPerConnection = 128
        /// Frames of one client that may wait for the central's answer, also while the central cannot be reached.
        package var maxUnansweredFramesPerConnection = 1024
        package var maxUnansweredBytesPerConnection = 4 * 1024 * 1024
        /// The same of all clients together.
        package var maxUnansweredBytesPerNode = 256 * 1024 * 1024
        /// What a client is told to wait when these bounds are reached.
        package var retryAfterMs = 1000
        /// Sessions opened again per second when the link to the central is back.
        package var maxReopensPerSecond = 2000
        /// How long a ticket for a handshake is good.
        package var ticketLifeSeconds = 30
        /// Tickets that may stand.
        package var maxTickets = 20_000
        /// Tickets of one user that may stand; the oldest goes.
        package var maxTicketsPerUser = 32
        /// Over how long clients come back after this node has closed their connections for a restart.
        package var drainSpreadMs = 5000

        package init() {}
    }

    /// What a client needs to reach the relay (RTCIceServer).
    package struct ICEServers: Equatable, Sendable {
        package var urls: [String]
        package var username: String
        package var credential: String
        package var lifeSeconds: Int

        package init(urls: [String], username: String, credential: String, lifeSeconds: Int) {
            self.urls = urls
            self.username = username
            self.credential = credential
            self.lifeSeconds = lifeSeconds
        }
    }

    static let subprotocol = "skerry.v1.json"

    private let configuration: Configuration
    let node: ConnectionNode
    private let tickets: TicketTable
    private let iceServers: @Sendable (UserAddress) -> ICEServers
    private let logger: Logger

    /// - Parameters:
    ///   - verifier: a first look at tokens, for a quick 401; the central verifies them again.
    ///   - iceServers: makes the relay's credentials of a user.
    package init(
        configuration: Configuration, uplink: any Uplink, verifier: TokenVerifier,
        iceServers: @escaping @Sendable (UserAddress) -> ICEServers, logger: Logger, metrics: MetricsRegistry
    ) {
        self.configuration = configuration
        self.iceServers = iceServers
        self.logger = logger
        node = ConnectionNode(
            configuration: configuration, uplink: uplink, verifier: verifier, metrics: ConnectionMetrics(metrics))
        tickets = TicketTable(
            maxTickets: configuration.maxTickets, maxTicketsPerUser: configuration.maxTicketsPerUser,
            life: .seconds(configuration.ticketLifeSeconds))
        let budget = node.budget
        metrics.computed("skerry_client_unanswered_bytes", "Bytes of frames that wait for the central's answer") {
            Double(budget.count)
        }
    }

    /// `/connect`, `/connect/tickets` and `/calls/ice-servers`.
    package func register(in routes: inout HTTPRoutes) {
        routes.on("GET", "/connect") { [self] exchange, _ in try await connect(exchange) }
        routes.on("POST", "/connect/tickets") { [self] exchange, _ in try await issueTicket(exchange) }
        routes.on("GET", "/calls/ice-servers") { [self] exchange, _ in try await describeRelay(exchange) }
    }

    /// Waits for the shutdown, then closes every connection with a time of its own to come back at.
    package func run(until shutdown: Shutdown) async throws {
        node.uplink.hold()
        defer { node.uplink.release() }
        await shutdown.wait()
        let connections = node.beginDrain().shuffled()
        if !connections.isEmpty {
            logger.notice("closing the clients' connections", metadata: ["count": "\(connections.count)"])
        }
        for (index, connection) in connections.enumerated() {
            // A slot of its own for each, the first a moment after the node is gone.
            connection.drain(reconnectAfterMs: 500 + index * configuration.drainSpreadMs / connections.count)
        }
        while node.connectionCount > 0 {
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: Handlers

    private func connect(_ exchange: HTTPExchange) async throws {
        do {
            let ticket = exchange.request.query.first { $0.0 == "ticket" }?.1
            let (token, claims) = try authenticate(exchange, ticket: ticket)
            try require("connect", claims)
            try admit()
            guard exchange.offeredSubprotocols.contains(Self.subprotocol) else {
                throw ProblemDetails(
                    status: 400,
                    detail: "Offer a subprotocol in Sec-WebSocket-Protocol. Allowed: \(Self.subprotocol).")
            }
            try await exchange.upgradeToWebSocket(
                subprotocol: Self.subprotocol, maxMessageBytes: WireLimits.maxClientTextFrameBytes
            ) { [node, device = claims.address] socket in
                let connection = ClientConnection(socket, device: device, token: token, node: node)
                guard case .admitted = node.add(connection) else {
                    return await socket.close(code: CloseCode.tryLater, reason: "try later")
                }
                defer { node.remove(connection) }
                await connection.run()
            }
        } catch {
            node.metrics.handshakesRefused.increment()
            throw error
        }
    }

    private func issueTicket(_ exchange: HTTPExchange) async throws {
        let (token, claims) = try authenticate(exchange, ticket: nil)
        try require("connect", claims)
        guard let ticket = tickets.issue(for: token, of: claims.owner, now: exchange.loop.now) else {
            throw ProblemDetails(
                status: 503, detail: "Too many tickets stand. Try again later.", fields: ["Retry-After": "5"])
        }
        try await respond(
            exchange, ["ticket": .string(ticket), "expires_in_s": JSONValue(configuration.ticketLifeSeconds)])
    }

    private func describeRelay(_ exchange: HTTPExchange) async throws {
        let (_, claims) = try authenticate(exchange, ticket: nil)
        try require("calls", claims)
        let servers = iceServers(claims.owner)
        let entry: JSONValue = [
            "urls": .array(servers.urls.map { .string($0) }), "username": .string(servers.username),
            "credential": .string(servers.credential),
        ]
        try await respond(exchange, ["iceServers": [entry], "ttl_s": JSONValue(servers.lifeSeconds)])
    }

    private func respond(_ exchange: HTTPExchange, _ value: JSONValue) async throws {
        try await exchange.respond(
            HTTPResponse(status: 200, fields: ["Content-Type": "application/json", "Cache-Control": "no-store"]),
            body: value.serialized())
    }

    // MARK: Admission

    private func authenticate(_ exchange: HTTPExchange, ticket: String?) throws -> (token: String, claims: Claims) {
        let token: String
        if let ticket {
            guard let redeemed = tickets.redeem(ticket, now: exchange.loop.now) else {
                throw unauthenticated("The ticket is unknown, used or expired. Ask for another.")
            }
            token = redeemed
        } else {
            guard let field = exchange.request.fields["Authorization"], field.lowercased().hasPrefix("bearer ") else {
                throw unauthenticated("Send Authorization: Bearer with a token.")
            }
            token = String(field.dropFirst("bearer ".count).drop { $0 == " " })
        }
        do {
            return (token, try node.authenticate(token))
        } catch {
            throw unauthenticated(error.message)
        }
    }

    private func unauthenticated(_ detail: String) -> ProblemDetails {
        ProblemDetails(status: 401, detail: detail, fields: ["WWW-Authenticate": "Bearer"])
    }

    private func require(_ scope: String, _ claims: Claims) throws {
        guard claims.allows(scope) else {
            throw ProblemDetails(status: 403, detail: "The token needs the scope \(scope).")
        }
    }

    private func admit() throws {
        let detail: String
        switch node.admission {
        case .admitted:
            if node.uplink.isConnected { return }
            detail = "The central cannot be reached. Try again later."
        case .draining: detail = "This node is about to restart. Try again later, or another node."
        case .full: detail = "Too many connections are open. Try again later, or another node."
        }
        throw ProblemDetails(status: 503, detail: detail, fields: ["Retry-After": "\(Int.random(in: 1...5))"])
    }
}
