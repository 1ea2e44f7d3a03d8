import Base
package import HTTP
import HTTPCodec
import JSONCodec

/// One STUN or TURN server with the credentials for it, as WebRTC's RTCIceServer.
package struct ICEServer: Equatable, Sendable {
    package let urls: [String]
    package let username: String?
    package let credential: String?

    package init(urls: [String], username: String? = nil, credential: String? = nil) {
        self.urls = urls
        self.username = username
        self.credential = credential
    }
}

/// The answer to `GET /calls/ice-servers`.
package struct ICEServers: Equatable, Sendable {
    package let servers: [ICEServer]
    /// Life of the credentials.
    package let ttlSeconds: Int64

    init(json: JSONValue) throws {
        guard let entries = json["iceServers"]?.array, let ttl = json["ttl_s"]?.int64 else {
            throw EdgeError(.corrupt, "the answer is no list of ICE servers", side: .upstream)
        }
        servers = entries.map { entry in
            ICEServer(
                urls: entry["urls"]?.array?.compactMap(\.string) ?? entry["urls"]?.string.map { [$0] } ?? [],
                username: entry["username"]?.string, credential: entry["credential"]?.string)
        }
        ttlSeconds = ttl
    }

    /// - Parameters:
    ///   - baseURL: of an edge.
    ///   - token: with the scope `calls`.
    package static func fetch(baseURL: String, token: String, http: HTTPClient) async throws -> ICEServers {
        let response = try await http.send(
            HTTPClientRequest("GET", baseURL + "/calls/ice-servers", fields: ["Authorization": "Bearer \(token)"]))
        guard response.status == 200 else { throw await AnswerError.reading(response) }
        return try ICEServers(json: try JSONValue.parse(try await response.collect(upTo: 64 * 1024)))
    }
}
