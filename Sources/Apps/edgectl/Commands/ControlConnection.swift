import Base
import HTTP
import JSONCodec

/// The options by which a command finds the node that it tells something, and the way there: the node's control socket.
struct ControlConnection: Sendable {
    static let socket = Parameter<String>.optional("--socket", .path, "the node's control.socket_path")

    static let parameters = [socket.declaration, Connection.dev.declaration, Connection.edge.declaration]

    private let path: String
    private let client: HTTPClient

    init(_ invocation: Invocation, _ context: CommandContext) throws {
        path = try Self.path(invocation)
        var configuration = HTTPClient.Configuration()
        configuration.unixSocketPath = path
        configuration.responseTimeoutMs = 10_000
        client = HTTPClient(loop: context.loop, configuration: configuration)
    }

    private static func path(_ invocation: Invocation) throws -> String {
        if let path = invocation[socket] { return path }
        guard let development = try Connection.developmentFile(invocation) else {
            throw CommandFailure("no node: give --socket, or start one with 'edgectl dev'")
        }
        let index = invocation[Connection.edge] ?? 0
        guard development.edges.indices.contains(index) else {
            throw CommandFailure(
                "the development start has \(development.edges.count) edges, counted from 0: no edge \(index)")
        }
        return development.edges[index].socket
    }

    /// Asks the node.
    ///
    /// - Parameter body: sent as JSON, if there is one.
    /// - Throws: `CommandFailure` with what the node says is wrong.
    func ask(_ method: String, _ target: String, _ body: JSONValue? = nil) async throws -> JSONValue {
        let response: HTTPClientResponse
        let bytes: [UInt8]
        do {
            response = try await client.send(
                HTTPClientRequest(
                    method, "http://node\(target)", body: body.map { .bytes($0.serialized()) } ?? .none))
            bytes = try await response.collect(upTo: 64 << 20)
        } catch {
            throw CommandFailure("the node at \(path) does not answer: \(error)")
        }
        guard let answer = try? JSONValue.parse(bytes) else {
            throw CommandFailure("the node at \(path) answers \(response.status), and no JSON")
        }
        guard response.status == 200 else {
            throw CommandFailure(answer["detail"]?.string ?? "the node at \(path) answers \(response.status)")
        }
        return answer
    }
}
