import Base
import Client
import JSONCodec
import Runtime

enum CallCommand {
    private static let caller = Parameter<String>.option(
        "--from", .text("USER"), "the caller of the development start", default: "alice", shownAs: "alice")
    private static let callee = Parameter<String>.option(
        "--to", .text("USER"), "the callee of the development start", default: "bob", shownAs: "bob")
    private static let calleeEdge = Parameter<Int>.optional(
        "--callee-edge", .count(in: 0...4), "which edge the callee uses (default: the last one)")
    private static let callerEdge = Parameter<Int>.option(
        "--caller-edge", .count(in: 0...4), "which edge the caller uses", default: 0, shownAs: "0")
    private static let duration = Parameter<Duration>.option(
        "--duration", .duration, "how long they talk", default: .seconds(5), shownAs: "5s")
    private static let maxLoss = Parameter<Int>.option(
        "--max-loss", .count("PERCENT", in: 0...100), "fail when more is lost", default: 1, shownAs: "1")

    static let command = Command(
        name: "call", summary: "Hold a call between two users through the relay, and report what they saw.",
        discussion: """
            Two headless agents of a development start: descriptions in call frames over /connect, TURN servers from
            /calls/ice-servers, real Opus packets of a synthesised voice, round trips from RTCP reports.
            """,
        parameters: [
            caller.declaration, callee.declaration, callerEdge.declaration, calleeEdge.declaration,
            duration.declaration,
            maxLoss.declaration, Connection.dev.declaration, Output.json.declaration,
        ]
    ) { invocation, context in
        guard let development = try Connection.developmentFile(invocation) else {
            throw CommandFailure("no development start: give --dev, or start one with 'edgectl dev'")
        }
        let connection = Connection(development, context)
        let (from, to) = (invocation[caller], invocation[callee])
        guard from != to else { throw UsageError(message: "--from and --to are two users", path: invocation.path) }
        guard invocation[duration] >= .milliseconds(100) else {
            throw UsageError(message: "--duration is at least 100ms", path: invocation.path)
        }
        let parties = [
            try await party(from, edge: invocation[callerEdge], pitch: 210, connection),
            try await party(to, edge: invocation[calleeEdge] ?? development.edges.count - 1, pitch: 120, connection),
        ]
        for party in parties { await party.messaging.start() }
        let result: RelayedCall.Result
        do {
            result = try await RelayedCall(caller: parties[0], callee: parties[1], context: context).run(
                for: invocation[duration])
        } catch {
            for party in parties { await party.messaging.close() }
            throw error
        }
        for party in parties { await party.messaging.close() }
        let reports = [(from, result.caller), (to, result.callee)]
        if invocation[Output.json] {
            Output.write([
                "set_up_ms": .int(result.setUp.milliseconds),
                "ends": .array(reports.map { json($0.0, $0.1) }),
            ])
        } else {
            Terminal.print("answered after \(formatDuration(result.setUp))\n\(table(reports))")
        }
        if let worst = reports.map(\.1.lossPercent).max(), worst > Double(invocation[maxLoss]) {
            throw CommandFailure("\(formatTenths(worst)) % of the packets were lost")
        }
    }

    static func party(
        _ user: String, edge: Int, pitch: Double, _ connection: Connection
    ) async throws -> RelayedCall.Party {
        let servers = try await ICEServers.fetch(
            baseURL: try connection.baseURL(edge: edge), token: try connection.token(of: user),
            http: try connection.http())
        return RelayedCall.Party(
            user: user, messaging: try connection.messaging(edge: edge, user: user), iceServers: servers, pitch: pitch)
    }

    static func table(_ reports: [(user: String, report: CallReport)]) -> String {
        var table = TextTable(["end", "relayed at", "sent", "received", "lost", "round trip p50", "p99", "jitter"])
        table.rows = reports.map { user, report in
            [
                user, report.relayedAddress, "\(report.packetsSent)", "\(report.packetsReceived)",
                "\(report.packetsLost) (\(formatTenths(report.lossPercent)) %)", text(report.roundTrip(within: 0.5)),
                text(report.roundTrip(within: 0.99)), text(report.jitter),
            ]
        }
        return table.render()
    }

    static func text(_ duration: Duration?) -> String {
        duration.map { "\(formatTenths(Double($0.nanoseconds) / 1e6)) ms" } ?? "-"
    }

    private static func json(_ user: String, _ report: CallReport) -> JSONValue {
        func microseconds(_ duration: Duration?) -> JSONValue {
            duration.map { .int($0.nanoseconds / 1000) } ?? .null
        }
        return [
            "user": .string(user), "relayed": .string(report.relayedAddress), "peer": .string(report.peerAddress),
            "packets_sent": .int(Int64(report.packetsSent)), "packets_received": .int(Int64(report.packetsReceived)),
            "packets_lost": .int(Int64(report.packetsLost)), "loss_percent": .double(report.lossPercent),
            "duplicates": .int(Int64(report.duplicates)), "out_of_order": .int(Int64(report.outOfOrder)),
            "jitter_us": microseconds(report.jitter), "round_trip_p50_us": microseconds(report.roundTrip(within: 0.5)),
            "round_trip_p99_us": microseconds(report.roundTrip(within: 0.99)),
        ]
    }
}
