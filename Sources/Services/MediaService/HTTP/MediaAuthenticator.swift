import Base
import HTTP
import HTTPCodec
import Tokens
import Wire

/// Who asks, by the bearer token of a request (RFC 6750). The central judges the token again; this keeps strangers from
/// using the node's disk, and an expired token from living on in a lease.
struct MediaAuthenticator: Sendable {
    struct Caller: Sendable {
        let token: String
        let claims: Claims

        var authorization: MediaAuthorization { .token(token) }
    }

    let verifier: TokenVerifier
    let now: @Sendable () -> WallTime

    /// - Throws: `ProblemDetails`: 401 without a good token, 403 without the scope.
    func caller(_ exchange: HTTPExchange, scope: String) throws -> Caller {
        guard let field = exchange.request.fields["Authorization"], field.utf8.count > 7,
            field.prefix(7).lowercased() == "bearer "
        else {
            throw ProblemDetails(
                status: 401, detail: "Send a token: Authorization: Bearer <JWT>.",
                fields: ["WWW-Authenticate": "Bearer"])
        }
        let token = String(field.dropFirst(7).drop { $0 == " " })
        let claims: Claims
        do {
            claims = try verifier.verify(token, now: now())
        } catch {
            throw ProblemDetails(
                status: 401, detail: "The token is not accepted: \(error).",
                fields: ["WWW-Authenticate": "Bearer error=\"invalid_token\""])
        }
        guard claims.allows(scope) else {
            throw ProblemDetails(
                status: 403, detail: "The token lacks the scope \(scope).",
                fields: ["WWW-Authenticate": "Bearer error=\"insufficient_scope\", scope=\"\(scope)\""])
        }
        return Caller(token: token, claims: claims)
    }
}
