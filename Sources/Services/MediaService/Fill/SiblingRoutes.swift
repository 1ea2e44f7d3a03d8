import Base
import HTTP
import HTTPCodec
import MediaEngine
import Runtime
import UplinkService

/// What other edges fetch: manifests and stored chunks, to nodes of the cluster alone. Both are ciphertext and hashes;
/// who has no key from the central learns nothing from them.
struct SiblingRoutes: Sendable {
    let objects: Objects
    let cluster: String
    let configuration: MediaService.Configuration

    func register(in routes: inout HTTPRoutes) {
        routes.on("GET", "/sibling/objects/:object/manifest") { exchange, parameters in
            let object = try await object(exchange, parameters)
            guard let manifest = object.manifest else { throw notHeld }
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "application/octet-stream"]), body: manifest.encoded)
        }
        routes.on("GET", "/sibling/objects/:object/chunks") { exchange, parameters in
            let object = try await object(exchange, parameters)
            guard let from = exchange.request.queryValue("from").flatMap({ Int($0) }),
                let count = exchange.request.queryValue("count").flatMap({ Int($0) }), from >= 0,
                (1...1024).contains(count), from <= object.layout.chunkCount - count
            else { throw EdgeError(.invalid, "from and count must name chunks of the object, at most 1024") }
            let chunks = from..<from + count
            let size = object.layout.storedCount(of: chunks)
            try await exchange.start(
                HTTPResponse(
                    status: 200, fields: ["Content-Type": "application/octet-stream", "Content-Length": "\(size)"]))
            try await exchange.writeFile(
                object.file.descriptor, offset: object.layout.storedOffset(of: from), count: size)
            try await exchange.end()
        }
    }

    private var notHeld: EdgeError { EdgeError(.notFound, "this edge does not hold the object") }

    private func object(_ exchange: HTTPExchange, _ parameters: HTTPParameters) async throws -> StoredObject {
        let isSibling = exchange.clientCertificateURIs.contains { uri in
            NodeIdentity(uri: uri).map { $0.cluster == cluster } ?? false
        }
        guard isSibling else { throw EdgeError(.forbidden, "only nodes of the cluster fetch here") }
        guard let id = UUID(parameters["object"]) else { throw notHeld }
        guard let object = try await objects.held(id) else {
            try await objects.isMissing(id)
            throw notHeld
        }
        return object
    }
}
