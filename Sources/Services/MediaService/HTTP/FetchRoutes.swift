import Base
import HTTP
import HTTPCodec
import JSONCodec
import MediaEngine
import Runtime
import Tokens
import Wire

/// Media over HTTP: the object, what is derived from it, grants, and dropping one's reference.
struct FetchRoutes: Sendable {
    let store: Store
    let objects: Objects
    let leases: Leases
    let thumbnails: ThumbnailJobs
    let directory: any MediaDirectory
    let authenticator: MediaAuthenticator
    let configuration: MediaService.Configuration

    private typealias Handler = @Sendable (HTTPExchange, MediaAuthorization, MediaID) async throws -> Void

    func register(in routes: inout HTTPRoutes) {
        get("", in: &routes) { try await object($0, $1, $2) }
        get("/thumbnail", in: &routes) { try await thumbnail($0, $1, $2) }
        get("/info", in: &routes) { try await info($0, $1, $2) }
        routes.on("DELETE", "/media/:id") { exchange, parameters in
            let caller = try authenticator.caller(exchange, scope: "media:write")
            let media = try media(parameters)
            try await directory.release(MediaRelease(token: caller.token, media: media))
            leases.forget(media)
            try await exchange.respond(HTTPResponse(status: 204))
        }
        routes.on("POST", "/media/:id/grants") { exchange, parameters in
            let caller = try authenticator.caller(exchange, scope: "media:write")
            try await grant(exchange, caller, try media(parameters))
        }
    }

    /// A resource below a media, by token and by signed path.
    private func get(_ suffix: String, in routes: inout HTTPRoutes, _ handler: @escaping Handler) {
        routes.on("GET", "/media/:id" + suffix) { exchange, parameters in
            let caller = try authenticator.caller(exchange, scope: "media:read")
            try await handler(exchange, caller.authorization, try media(parameters))
        }
        routes.on("GET", "/s/:credential/media/:id" + suffix) { exchange, parameters in
            let media = try media(parameters)
            guard let path = SignedPath(credential: parameters["credential"], media: media) else {
                throw MediaProblem.notFound
            }
            let authorization = MediaAuthorization.signedPath(
                SignedMediaPath(
                    keyID: path.keyID, expiresAtSeconds: path.expiresAtSeconds, signature: path.signature,
                    method: "GET",
                    pathPrefix: "/media/\(media)"))
            try await handler(exchange, authorization, media)
        }
    }

    private func media(_ parameters: HTTPParameters) throws -> MediaID {
        guard let media = MediaID(parameters["id"]) else { throw MediaProblem.notFound }
        return media
    }

    private func object(_ exchange: HTTPExchange, _ authorization: MediaAuthorization, _ media: MediaID) async throws {
        let found = try await leases.lookup(authorization, media)
        let type = ServedType(declared: found.contentType, mode: found.mode)
        try await response(media, "", found, type).send(exchange)
    }

    private func response(_ media: MediaID, _ variant: String, _ found: MediaFound, _ type: ServedType)
        -> ObjectResponse
    {
        ObjectResponse(
            media: media, variant: variant, found: found, type: type, objects: objects, disk: store.disk,
            metrics: store.metrics,
            directory: directory, configuration: configuration)
    }

    // MARK: Derivatives

    private func thumbnail(_ exchange: HTTPExchange, _ authorization: MediaAuthorization, _ media: MediaID) async throws
    {
        if let width = exchange.request.queryValue("w"), width != "\(ThumbnailVariant.width)" {
            throw ProblemDetails(status: 400, detail: "Thumbnails have the width w=\(ThumbnailVariant.width).")
        }
        let original = try await leases.lookup(authorization, media)
        if original.mode == .sealed { throw MediaProblem.sealedHasNoDerivatives }
        guard ServedType(declared: original.contentType, mode: original.mode).hasThumbnail else {
            throw MediaProblem.cannotBeDerived
        }
        var found = try await variant(authorization, media)
        if found == nil {
            try await thumbnails.ensure(of: original, media: media)
            let deadline = MonotonicClock.now() + wait(exchange.request)
            while found == nil, MonotonicClock.now() < deadline {
                found = try await variant(authorization, media, wait: deadline - MonotonicClock.now())
                // The central may be unable to wait.
                if found == nil { try await exchange.loop.sleep(for: .milliseconds(100)) }
            }
        }
        guard let found else { throw MediaProblem.notReady(retryAfterSeconds: 2) }
        // An empty derivative says that it cannot be made.
        if found.sizeBytes == 0 { throw MediaProblem.cannotBeDerived }
        let type = ServedType(declared: ThumbnailVariant.contentType, mode: .managed)
        try await response(media, ThumbnailVariant.name, found, type).send(exchange)
    }

    /// Nil if it is not there yet.
    private func variant(
        _ authorization: MediaAuthorization, _ media: MediaID, wait: Duration = .zero
    ) async throws -> MediaFound? {
        do {
            return try await leases.lookup(authorization, media, variant: ThumbnailVariant.name, wait: wait)
        } catch let error as EdgeError
            where error.kind == .notFound || (error.kind == .unavailable && !error.isOutage)
        {
            return nil
        }
    }

    /// `Prefer: wait=SECONDS` (RFC 7240 section 4.3), bounded.
    private func wait(_ request: HTTPRequest) -> Duration {
        for preference in request.fields.listMembers(of: "Prefer") {
            guard preference.lowercased().hasPrefix("wait="), let seconds = Int64(preference.dropFirst(5)), seconds > 0
            else { continue }
            return .milliseconds(
                min(seconds, 3600) * 1000 < configuration.maxDerivativeWaitMs
                    ? seconds * 1000 : configuration.maxDerivativeWaitMs)
        }
        return .zero
    }

    private func info(_ exchange: HTTPExchange, _ authorization: MediaAuthorization, _ media: MediaID) async throws {
        let found = try await leases.lookup(authorization, media)
        let type = ServedType(declared: found.contentType, mode: found.mode)
        var state = "none"
        if type.hasThumbnail {
            let thumbnail = try await variant(authorization, media)
            state = thumbnail.map { $0.sizeBytes > 0 ? "ready" : "failed" } ?? "pending"
        }
        let value = JSONValue.object([
            "id": .string("\(media)"), "size_bytes": .decimal(found.sizeBytes),
            "content_type": .string(found.contentType),
            "filename": found.filename.map { .string($0) }, "mode": .string(found.mode.rawValue),
            "expires_at_ms": found.expiresAt.map { .decimal($0.milliseconds) },
            "thumbnail": .object(["state": .string(state), "widths": [JSONValue(ThumbnailVariant.width)]]),
        ])
        try await exchange.respond(
            HTTPResponse(
                status: 200, fields: ["Content-Type": "application/json", "Cache-Control": "private, no-store"]),
            body: value.serialized())
    }

    // MARK: Grants

    private static let maxGrantedUsers = 1000

    private func grant(_ exchange: HTTPExchange, _ caller: MediaAuthenticator.Caller, _ media: MediaID) async throws {
        let body = try await exchange.body.collect(upTo: 256 << 10)
        let wrong = ProblemDetails(
            status: 400,
            detail: """
                Send {"users": [1 to \(Self.maxGrantedUsers) names of this tenant], "expires_in_s": seconds, optional}.
                """)
        guard let value = try? JSONValue.parse(body), let names = value["users"]?.array, !names.isEmpty,
            names.count <= Self.maxGrantedUsers
        else { throw wrong }
        let users = names.compactMap(\.string).filter { UserAddress(tenant: caller.claims.tenant, user: $0) != nil }
        let seconds = value["expires_in_s"].flatMap { $0.isNull ? nil : $0 }
        guard users.count == names.count, seconds == nil || (seconds?.int64 ?? 0) > 0 else { throw wrong }
        try await directory.grant(
            MediaGrant(token: caller.token, media: media, users: users, expiresInSeconds: seconds?.int64))
        try await exchange.respond(HTTPResponse(status: 204))
    }
}
