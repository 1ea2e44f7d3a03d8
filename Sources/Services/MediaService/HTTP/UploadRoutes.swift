import Base
import HTTP
import HTTPCodec
import MediaEngine
import Tokens
import Wire

/// Uploads over HTTP: tus 1.0.0, and a plain POST of the bytes.
struct UploadRoutes: Sendable {
    let uploads: Uploads
    let finisher: UploadFinisher
    let authenticator: MediaAuthenticator
    let configuration: MediaService.Configuration

    static let collection = "/media/uploads"

    func register(in routes: inout HTTPRoutes) {
        routes.on("OPTIONS", Self.collection) { exchange, _ in try await options(exchange) }
        routes.on("OPTIONS", Self.collection + "/:id") { exchange, _ in try await options(exchange) }
        routes.on("POST", Self.collection) { exchange, _ in
            try await answering(exchange) {
                if exchange.request.fields.contains("Tus-Resumable") {
                    try await create(exchange)
                } else {
                    try await plain(exchange)
                }
            }
        }
        for method in ["HEAD", "PATCH", "DELETE", "POST"] {
            routes.on(method, Self.collection + "/:id") { exchange, parameters in
                try await answering(exchange) { try await member(exchange, parameters["id"]) }
            }
        }
    }

    // MARK: tus

    private func options(_ exchange: HTTPExchange) async throws {
        try await exchange.respond(
            HTTPResponse(
                status: 204,
                fields: [
                    "Tus-Resumable": Tus.version, "Tus-Version": Tus.version, "Tus-Extension": Tus.extensions,
                    "Tus-Max-Size": "\(configuration.maxUploadBytes)", "Allow": "OPTIONS, POST, HEAD, PATCH, DELETE",
                ]))
    }

    /// A request for one upload. Clients that cannot send PATCH or DELETE say the method in a field of a POST.
    private func member(_ exchange: HTTPExchange, _ text: String) async throws {
        let override = exchange.request.method == "POST" ? exchange.request.fields["X-HTTP-Method-Override"] : nil
        let method = override ?? exchange.request.method
        guard let id = UUID(text) else { throw Uploads.notFound }
        switch method {
        case "HEAD": try await head(exchange, id)
        case "PATCH": try await patch(exchange, id)
        case "DELETE": try await delete(exchange, id)
        default:
            throw ProblemDetails(
                status: 405, detail: "Allowed here: HEAD, PATCH, DELETE, OPTIONS.",
                fields: ["Allow": "HEAD, PATCH, DELETE, OPTIONS"])
        }
    }

    private func create(_ exchange: HTTPExchange) async throws {
        let fields = exchange.request.fields
        try requireVersion(fields)
        let caller = try authenticator.caller(exchange, scope: "media:write")
        let creation: Tus.Creation
        do {
            creation = try Tus.Creation(
                length: fields["Upload-Length"], deferLength: fields["Upload-Defer-Length"],
                metadata: fields["Upload-Metadata"], contentType: fields["Content-Type"],
                maximumBytes: configuration.maxUploadBytes)
        } catch {
            throw problem(error)
        }
        let id = try await uploads.create(
            owner: caller.claims.owner, length: creation.length, metadata: creation.metadata, token: caller.token)
        var response = HTTPResponse(status: 201, fields: ["Location": "\(Self.collection)/\(id)"])
        try await uploads.withUpload(id, owner: caller.claims.owner) { upload in
            let lease = try await upload.open()
            if creation.carriesBytes {
                try await receiveFirst(exchange, upload, lease)
                response.fields["Upload-Offset"] = "\(upload.durableOffset)"
            }
            try add(try await finisher.finish(upload, token: caller.token), to: &response)
        }
        try await respond(exchange, response)
    }

    private func head(_ exchange: HTTPExchange, _ id: UUID) async throws {
        if exchange.request.fields.contains("Tus-Resumable") { try requireVersion(exchange.request.fields) }
        let caller = try authenticator.caller(exchange, scope: "media:write")
        try await uploads.withUpload(id, owner: caller.claims.owner) { upload in
            _ = try await upload.open()
            var response = HTTPResponse(
                status: 200,
                fields: [
                    "Upload-Offset": "\(upload.durableOffset)", "Upload-Length": "\(upload.record.length)",
                    "Cache-Control": "no-store",
                ])
            if !upload.record.metadata.header.isEmpty {
                response.fields["Upload-Metadata"] = upload.record.metadata.header
            }
            if case .registered(let media) = upload.phase { Self.add(media, to: &response) }
            try await respond(exchange, response)
        }
    }

    private func patch(_ exchange: HTTPExchange, _ id: UUID) async throws {
        let fields = exchange.request.fields
        try requireVersion(fields)
        let caller = try authenticator.caller(exchange, scope: "media:write")
        let offset: Int64
        do {
            offset = try Tus.appendOffset(contentType: fields["Content-Type"], offset: fields["Upload-Offset"])
        } catch {
            throw problem(error)
        }
        try await uploads.withUpload(id, owner: caller.claims.owner) { upload in
            let lease = try await upload.open()
            try await receive(exchange, upload, lease, at: offset)
            var response = HTTPResponse(status: 204)
            try add(try await finisher.finish(upload, token: caller.token), to: &response)
            response.fields["Upload-Offset"] = "\(upload.durableOffset)"
            try await respond(exchange, response)
        }
    }

    private func delete(_ exchange: HTTPExchange, _ id: UUID) async throws {
        try requireVersion(exchange.request.fields)
        let caller = try authenticator.caller(exchange, scope: "media:write")
        try await uploads.withUpload(id, owner: caller.claims.owner) { upload in
            try await finisher.terminate(upload)
        }
        try await respond(exchange, HTTPResponse(status: 204))
    }

    // MARK: plain POST

    private func plain(_ exchange: HTTPExchange) async throws {
        let caller = try authenticator.caller(exchange, scope: "media:write")
        let fields = exchange.request.fields
        if fields["Upload-Complete"] == "?0" || fields["Upload-Incomplete"] == "?1" {
            throw ProblemDetails(
                status: 400,
                detail:
                    "A plain POST carries the whole media. For an upload in parts use tus 1.0.0 (Tus-Resumable: \(Tus.version))."
            )
        }
        guard let length = exchange.body.length else {
            throw ProblemDetails(
                status: 411, detail: "Send Content-Length, or use tus 1.0.0 (Tus-Resumable: \(Tus.version)).")
        }
        guard Int64(length) <= configuration.maxUploadBytes else {
            throw MediaProblem.tooLarge(maximumBytes: configuration.maxUploadBytes)
        }
        var metadata = UploadMetadata()
        do {
            for name in ["mode", "retention"] {
                if let value = exchange.request.queryValue(name) { try metadata.set(name, value) }
            }
            if let type = fields["Content-Type"] { try metadata.set("filetype", type) }
        } catch {
            throw ProblemDetails(status: 400, detail: error.message)
        }
        if let digest = fields["Repr-Digest"], DigestField.namesSHA256(digest) {
            guard let declared = DigestField.sha256(digest) else {
                throw ProblemDetails(
                    status: 400, detail: "Repr-Digest must have the form sha-256=:<base64>: (RFC 9530).")
            }
            metadata.sha256 = declared
        }
        let id = try await uploads.create(
            owner: caller.claims.owner, length: Int64(length), metadata: metadata, token: caller.token)
        try await uploads.withUpload(id, owner: caller.claims.owner) { upload in
            try await receiveFirst(exchange, upload, try await upload.open())
            var response = HTTPResponse(status: 201)
            let outcome = try await finisher.finish(upload, token: caller.token)
            try add(outcome, to: &response)
            if case .registered(let media) = outcome {
                response.fields["Location"] = "/media/\(media)"
            } else {
                response.status = 204
                response.fields["Location"] = "\(Self.collection)/\(id)"
            }
            try await exchange.respond(response)
        }
    }

    // MARK: Both

    /// Takes the body of the request that makes the upload. When that fails the upload goes: nobody knows its name, so that
    /// nobody could go on with it.
    private func receiveFirst(_ exchange: HTTPExchange, _ upload: OpenUpload, _ lease: OpenUpload.Lease) async throws {
        do {
            try await receive(exchange, upload, lease, at: 0)
        } catch {
            try? await uploads.end(upload, .terminated)
            throw error
        }
    }

    /// Takes the body into the upload, and makes it durable: all of it, or what came before the connection broke.
    private func receive(
        _ exchange: HTTPExchange, _ upload: OpenUpload, _ lease: OpenUpload.Lease, at offset: Int64
    ) async throws {
        switch try await upload.startAppend(lease, at: offset, contentLength: exchange.body.length.map(Int64.init)) {
        case .append: break
        case .alreadyComplete: return
        case .offsetMismatch(let expected): throw MediaProblem.offsetMismatch(expected: expected)
        case .tooLong(let limit): throw MediaProblem.tooLong(limit: limit)
        case .superseded: throw MediaProblem.superseded
        case .ended: throw Uploads.notFound
        }
        // The upload knows what it may take.
        exchange.body.maxBytes = .max
        var broken: (any Error)?
        do {
            reading: while let bytes = try await exchange.body.read() {
                switch try await upload.append(bytes, lease) {
                case .take: break
                case .overflow:
                    broken = MediaProblem.tooLong(limit: 0)
                    break reading
                case .superseded: throw MediaProblem.superseded
                }
            }
        } catch let error as ProblemDetails {
            throw error
        } catch {
            broken = error
        }
        if !upload.isBroken { try await upload.checkpoint() }
        if let broken { throw broken }
    }

    private func add(_ outcome: UploadFinisher.Outcome, to response: inout HTTPResponse) throws {
        switch outcome {
        case .unfinished, .pending: break
        case .registered(let media): Self.add(media, to: &response)
        case .digestMismatch(let actual): throw MediaProblem.digestMismatch(actual: actual)
        case .refused(let error): throw ProblemDetails(error)
        case .gone: throw Uploads.notFound
        }
    }

    private static func add(_ media: MediaID, to response: inout HTTPResponse) {
        response.fields["Media-Id"] = "\(media)"
        response.fields["Media-Location"] = "/media/\(media)"
    }

    private func requireVersion(_ fields: HTTPFields) throws {
        guard fields["Tus-Resumable"] == Tus.version else { throw problem(.unsupportedVersion) }
    }

    private func problem(_ error: TusError) -> ProblemDetails {
        var fields: HTTPFields = [:]
        switch error {
        case .unsupportedVersion: fields["Tus-Version"] = Tus.version
        case .tooLarge(let maximum): fields["Tus-Max-Size"] = "\(maximum)"
        default: break
        }
        return ProblemDetails(status: error.status, detail: error.message, fields: fields)
    }

    private func respond(_ exchange: HTTPExchange, _ response: HTTPResponse) async throws {
        var response = response
        response.fields["Tus-Resumable"] = Tus.version
        try await exchange.respond(response)
    }

    /// Every answer to a tus client carries Tus-Resumable, the problems too.
    private func answering(_ exchange: HTTPExchange, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            var problem: ProblemDetails
            switch error {
            case let error as ProblemDetails: problem = error
            case let error as EdgeError where error.kind != .closed: problem = MediaProblem.ofUpload(error)
            default: throw error
            }
            if exchange.request.fields.contains("Tus-Resumable") { problem.fields["Tus-Resumable"] = Tus.version }
            throw problem
        }
    }
}
