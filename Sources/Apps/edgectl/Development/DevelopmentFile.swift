import Base
import JSONCodec
import Runtime

/// `dev.json`: where the processes of a development start are, and the tokens to talk to them.
struct DevelopmentFile: Equatable, Sendable {
    static let name = "dev.json"

    struct Central: Equatable, Sendable {
        var api: String
        var admin: String
        var pid: Int
    }

    struct Edge: Equatable, Sendable {
        var name: String
        var http: String
        var turn: String
        var turns: String
        var admin: String
        var socket: String
        var pid: Int
    }

    var central: Central
    var edges: [Edge]
    /// In the order in which they are written: alice, bob, carol, admin.
    var tokens: [(user: String, token: String)]
    var certificateAuthorityPath: String
    var signingKeyPath: String
    var centralConfigurationPath: String
    var edgeConfigurationPaths: [String]

    static func == (left: Self, right: Self) -> Bool { left.json == right.json }

    func token(of user: String) -> String? { tokens.first { $0.user == user }?.token }

    var json: JSONValue {
        var tokenMembers = JSONObject()
        for (user, token) in tokens { tokenMembers[user] = .string(token) }
        return [
            "central": [
                "api": .string(central.api), "admin": .string(central.admin), "pid": .int(Int64(central.pid)),
            ],
            "edges": .array(
                edges.map { edge in
                    [
                        "name": .string(edge.name), "http": .string(edge.http), "turn": .string(edge.turn),
                        "turns": .string(edge.turns), "admin": .string(edge.admin), "socket": .string(edge.socket),
                        "pid": .int(Int64(edge.pid)),
                    ]
                }),
            "tokens": .object(tokenMembers),
            "ca": .string(certificateAuthorityPath),
            "signing_key": .string(signingKeyPath),
            "config": [
                "central": .string(centralConfigurationPath),
                "edges": .array(edgeConfigurationPaths.map { .string($0) }),
            ],
        ]
    }

    static func load(_ path: String) throws -> DevelopmentFile {
        let bytes = try FileSystem.read(path, limit: 256 * 1024)
        guard let json = try? JSONValue.parse(bytes), let file = DevelopmentFile(json: json) else {
            throw CommandFailure("\(path) is not the file of a development start")
        }
        return file
    }

    func save(_ path: String) throws {
        try FileSystem.replace(path, with: json.serialized() + [UInt8(ascii: "\n")])
    }
}

extension DevelopmentFile {
    init?(json: JSONValue) {
        guard let central = json["central"], let api = central["api"]?.string, let admin = central["admin"]?.string,
            let pid = central["pid"]?.int, let edges = json["edges"]?.array, let tokens = json["tokens"]?.object,
            let authority = json["ca"]?.string, let signingKey = json["signing_key"]?.string,
            let centralPath = json["config"]?["central"]?.string, let edgePaths = json["config"]?["edges"]?.array
        else { return nil }
        self.central = Central(api: api, admin: admin, pid: pid)
        self.edges = edges.compactMap(Edge.init)
        guard self.edges.count == edges.count, !edges.isEmpty else { return nil }
        self.tokens = tokens.compactMap { user, token in token.string.map { (user, $0) } }
        certificateAuthorityPath = authority
        signingKeyPath = signingKey
        centralConfigurationPath = centralPath
        edgeConfigurationPaths = edgePaths.compactMap(\.string)
    }
}

extension DevelopmentFile.Edge {
    fileprivate init?(json: JSONValue) {
        guard let name = json["name"]?.string, let http = json["http"]?.string, let turn = json["turn"]?.string,
            let turns = json["turns"]?.string, let admin = json["admin"]?.string, let socket = json["socket"]?.string,
            let pid = json["pid"]?.int
        else { return nil }
        self.init(name: name, http: http, turn: turn, turns: turns, admin: admin, socket: socket, pid: pid)
    }
}
