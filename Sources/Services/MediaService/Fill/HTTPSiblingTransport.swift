package import Base
import HTTP
import HTTPCodec
package import Runtime
package import Wire

/// Fetches from siblings over HTTPS with mutual TLS, ALPN `skerry-sibling/1`.
package struct HTTPSiblingTransport: SiblingTransport {
    /// The protocol's name in ALPN.
    package static let applicationProtocol = "skerry-sibling/1"

    private let clients: [HTTPClient]
    private let loops: [EventLoop]

    /// - Parameter tls: shows this node's certificate, trusts the cluster's authority, expects the cluster's URIs, and
    ///   offers `applicationProtocol`.
    package init(loops: [EventLoop], tls: TLSContext) {
        self.loops = loops
        clients = loops.map { HTTPClient(loop: $0, tls: tls) }
    }

    /// Of the loop that asks, so that bytes stay on one thread.
    private var client: HTTPClient {
        clients[loops.firstIndex { $0.isCurrent } ?? 0]
    }

    package func manifest(of object: UUID, at holder: EdgeDescription, limit: Int) async throws -> [UInt8] {
        try await get("https://\(holder.siblingAddress)/sibling/objects/\(object)/manifest").collect(upTo: limit)
    }

    package func chunks(
        of object: UUID, _ chunks: Range<Int>, at holder: EdgeDescription,
        receive: ([UInt8]) async throws -> Void
    ) async throws {
        let response = try await get(
            "https://\(holder.siblingAddress)/sibling/objects/\(object)/chunks?from=\(chunks.lowerBound)&count=\(chunks.count)"
        )
        while let bytes = try await response.read() { try await receive(bytes) }
    }

    private func get(_ url: String) async throws -> HTTPClientResponse {
        let response = try await client.send(HTTPClientRequest("GET", url))
        guard response.status == 200 else {
            throw EdgeError(.unavailable, "a sibling answered \(response.status)", side: .upstream, isRetryable: true)
        }
        return response
    }
}
