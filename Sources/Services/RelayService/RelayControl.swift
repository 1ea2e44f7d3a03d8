import Base
package import HTTP
import HTTPCodec
import JSONCodec
import RelayEngine
import Runtime

extension RelayService {
    /// What an operator may ask and tell the relay over the node's control socket.
    package func addControlRoutes(to routes: inout HTTPRoutes) {
        routes.on("GET", "/relay/sessions") { [self] exchange, _ in
            let query = exchange.request.query
            func value(_ name: String) -> String? { query.first { $0.0 == name }?.1 }
            guard let limit = value("limit").map({ Int($0) }) ?? 100, (1...100_000).contains(limit) else {
                throw ProblemDetails(status: 400, detail: "limit has to be a whole number from 1 to 100000.")
            }
            let selection = try Self.selection(tenant: value("tenant"), user: value("user")) ?? .all
            let sessions = await sessions(limit: limit, of: selection)
            try await Self.respond(
                exchange,
                ["sessions": .array(sessions.map(\.json)), "allocations": JSONValue(allocationCount)])
        }
        routes.on("POST", "/relay/kick") { [self] exchange, _ in
            let text = try await exchange.body.collect(upTo: 4096)
            guard let body = try? JSONValue.parse(text) else {
                throw ProblemDetails(status: 400, detail: "Send a JSON object.")
            }
            for (name, isRight) in [
                ("session", body["session"]?.string != nil), ("tenant", body["tenant"]?.string != nil),
                ("user", body["user"]?.string != nil), ("revoke", body["revoke"]?.bool != nil),
            ] where body[name] != nil && !isRight {
                throw ProblemDetails(
                    status: 400, detail: "\(name) has to be \(name == "revoke" ? "true or false" : "a text").")
            }
            let ended: Int
            if let text = body["session"]?.string {
                guard let name = RelaySession.Name(text) else {
                    throw ProblemDetails(status: 400, detail: "session has to be a name such as 0.12.4.")
                }
                guard await kick(name) else {
                    throw ProblemDetails(status: 404, detail: "There is no session \(name).")
                }
                ended = 1
            } else if let selection = try Self.selection(
                tenant: body["tenant"]?.string, user: body["user"]?.string)
            {
                if body["revoke"]?.bool == true, let scope = selection.revocable {
                    ended = await revoke(Revocation(scope, madeBefore: WallClock.now()))
                } else {
                    ended = await kick(selection)
                }
            } else {
                throw ProblemDetails(status: 400, detail: "Name a session, a user or a tenant.")
            }
            try await Self.respond(exchange, ["ended": JSONValue(ended)])
        }
        for (method, drains) in [("GET", nil), ("POST", true), ("DELETE", false)] as [(String, Bool?)] {
            routes.on(method, "/drain") { [self] exchange, _ in
                if let drains { setDraining(drains) }
                try await Self.respond(
                    exchange, ["draining": .bool(isDraining), "allocations": JSONValue(allocationCount)])
            }
        }
    }

    /// Nil where neither is named; a user alone is one of the tenant `default`.
    private static func selection(tenant: String?, user: String?) throws -> RelaySelection? {
        guard tenant != nil || user != nil else { return nil }
        guard let named = tenant.map({ Tenant($0) }) ?? .default else {
            throw ProblemDetails(status: 400, detail: "tenant has to be 1 to 64 of A-Z a-z 0-9 . _ -.")
        }
        guard let user else { return .tenant(named) }
        guard let address = UserAddress(tenant: named, user: user) else {
            throw ProblemDetails(status: 400, detail: "user has to be 1 to 64 of A-Z a-z 0-9 . _ -.")
        }
        return .user(address)
    }

    private static func respond(_ exchange: HTTPExchange, _ value: JSONValue) async throws {
        try await exchange.respond(
            HTTPResponse(status: 200, fields: ["Content-Type": "application/json", "Cache-Control": "no-store"]),
            body: value.serialized())
    }
}

extension RelaySession {
    fileprivate var json: JSONValue {
        [
            "session": .string("\(name)"), "tenant": .string("\(session.user.tenant)"),
            "user": .string(session.user.user), "transport": .string("\(session.tuple.transport)"),
            "client": .string("\(session.tuple.client)"), "server": .string("\(session.tuple.server)"),
            "relayed": .array(relayed.map { .string("\($0)") }), "age_s": JSONValue(session.age.components.seconds),
            "expires_in_s": JSONValue(session.expiresIn.components.seconds),
            "permissions": JSONValue(session.permissionCount), "channels": JSONValue(session.channelCount),
            "packets_to_peers": JSONValue(session.traffic.packetsToPeers),
            "bytes_to_peers": JSONValue(session.traffic.bytesToPeers),
            "packets_to_client": JSONValue(session.traffic.packetsToClient),
            "bytes_to_client": JSONValue(session.traffic.bytesToClient),
        ]
    }
}
