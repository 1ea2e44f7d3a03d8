import Base
import Crypto
package import HTTP
import HTTPCodec
import JSONCodec

extension EnrolmentAuthority {
    private static let maxBodyBytes = 16 * 1024

    /// `GET /enroll/ca`, which a node checks against the fingerprint in its token, and `POST /enroll`.
    package func register(in routes: inout HTTPRoutes) {
        routes.on("GET", "/enroll/ca") { [self] exchange, _ in
            try await exchange.respond(
                HTTPResponse(status: 200, fields: ["Content-Type": "application/x-pem-file"]),
                body: Array(authority.certificatePEM.utf8))
        }
        routes.on("POST", "/enroll") { [self] exchange, _ in try await enrol(exchange) }
    }

    private func enrol(_ exchange: HTTPExchange) async throws {
        guard exchange.isSecure else {
            throw ProblemDetails(status: 403, detail: "An enrolment token is a secret: use https.")
        }
        let body = try await exchange.body.collect(upTo: Self.maxBodyBytes)
        guard let object = try? JSONValue.parse(body), let token = object["token"]?.string,
            let request = object["csr"]?.string
        else {
            throw ProblemDetails(status: 400, detail: "Send a JSON object with the texts token and csr (PEM).")
        }
        let issued = try await issue(token: token, requestPEM: request)
        let answer: JSONValue = [
            "certificate": .string(issued.certificatePEM), "ca": .string(issued.authorityPEM),
            "cluster": .string(issued.identity.cluster), "region": .string(issued.identity.region),
            "name": .string(issued.identity.name),
        ]
        try await exchange.respond(
            HTTPResponse(status: 200, fields: ["Content-Type": "application/json", "Cache-Control": "no-store"]),
            body: answer.serialized())
    }
}
