import Base
import Client
import Glibc
import HTTP
import JSONCodec
import Runtime

/// The options by which a command finds its server and says who asks, and the clients made from them.
///
/// What an option does not say comes from the environment (SKERRY_URL, SKERRY_TOKEN), then from the file of a development
/// start.
struct Connection: Sendable {
    static let dev = Parameter<String>.optional(
        "--dev", .path, "the dev.json of a development start; var/dev.json is used if there is one")
    static let url = Parameter<String>.optional("--url", .text("URL"), "an edge, such as http://127.0.0.1:8480")
    static let edge = Parameter<Int>.optional("--edge", .count(in: 0...4), "which edge of the development start")
    static let token = Parameter<String>.optional("--token", .text("JWT"), "who asks; see 'edgectl token'")
    static let user = Parameter<String>.option(
        "--as", .text("USER"), "whose token of the development start", default: "alice", shownAs: "alice")
    static let authority = Parameter<String>.optional(
        "--ca", .path, "certificates to trust for https, in PEM (default: the system's)")

    static let parameters = [
        dev.declaration, url.declaration, edge.declaration, token.declaration, user.declaration, authority.declaration,
    ]

    let context: CommandContext
    let development: DevelopmentFile?
    private let givenURL: String?
    private let givenToken: String?
    private let authorityPath: String?
    private let defaultEdge: Int
    private let defaultUser: String

    init(_ invocation: Invocation, _ context: CommandContext) throws {
        self.context = context
        let found = try Self.developmentFile(invocation)
        let isForDevelopment = invocation[Self.dev] != nil || invocation[Self.edge] != nil
        givenURL = invocation[Self.url] ?? (isForDevelopment ? nil : environmentValue("SKERRY_URL"))
        givenToken = invocation[Self.token] ?? (isForDevelopment ? nil : environmentValue("SKERRY_TOKEN"))
        // Another server gets no tokens of a development start, and is not certified by its authority.
        let isElsewhere = givenURL.map { url in found?.edges.contains { $0.http == url } != true } ?? false
        development = isElsewhere ? nil : found
        authorityPath = invocation[Self.authority] ?? development?.certificateAuthorityPath
        defaultEdge = invocation[Self.edge] ?? 0
        defaultUser = invocation[Self.user]
    }

    init(_ development: DevelopmentFile, _ context: CommandContext) {
        self.context = context
        self.development = development
        (givenURL, givenToken) = (nil, nil)
        authorityPath = development.certificateAuthorityPath
        (defaultEdge, defaultUser) = (0, "alice")
    }

    static func developmentFile(_ invocation: Invocation) throws -> DevelopmentFile? {
        if let path = invocation[Self.dev] { return try DevelopmentFile.load(path) }
        let path = "var/" + DevelopmentFile.name
        return access(path, R_OK) == 0 ? try DevelopmentFile.load(path) : nil
    }

    /// The base URL of an edge: the development start's, or the one that was given.
    func baseURL(edge: Int? = nil) throws -> String {
        if edge == nil, let givenURL { return givenURL }
        guard let development else {
            throw CommandFailure("no server: give --url, set SKERRY_URL, or start one with 'edgectl dev'")
        }
        let index = edge ?? defaultEdge
        guard development.edges.indices.contains(index) else {
            throw CommandFailure(
                "the development start has \(development.edges.count) edges, counted from 0: no edge \(index)")
        }
        return development.edges[index].http
    }

    func token(of user: String? = nil) throws -> String {
        if user == nil, let givenToken { return givenToken }
        guard let development else {
            throw CommandFailure("no token: give --token, or set SKERRY_TOKEN; 'edgectl token' makes one")
        }
        let user = user ?? defaultUser
        guard let token = development.token(of: user) else {
            let users = development.tokens.map(\.user).joined(separator: ", ")
            throw CommandFailure("the development start has tokens for \(users), none for \(user)")
        }
        return token
    }

    func http() throws -> HTTPClient {
        let url = try baseURL()
        var trust: TLSContext?
        if url.hasPrefix("https:") {
            let pem = try authorityPath.map { String(decoding: try FileSystem.read($0), as: UTF8.self) }
            trust = try TLSContext.client(trustPEM: pem, protocols: ["http/1.1"])
        }
        return HTTPClient(loop: context.loop, tls: trust)
    }

    func media(edge: Int? = nil, user: String? = nil) throws -> MediaClient {
        MediaClient(
            baseURL: try baseURL(edge: edge), token: try token(of: user), http: try http(), loop: context.loop,
            pool: context.pool)
    }

    /// A device's connection; `edge` first, then the others of the development start.
    func messaging(edge: Int? = nil, user: String? = nil) throws -> MessagingClient {
        var urls = [try baseURL(edge: edge)]
        if let development, urls == [try? baseURL(edge: edge ?? defaultEdge)] {
            urls += development.edges.map(\.http).filter { $0 != urls[0] }
        }
        return MessagingClient(
            baseURLs: urls, token: try token(of: user), clientName: "edgectl", http: try http(), loop: context.loop)
    }
}

func environmentValue(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}
