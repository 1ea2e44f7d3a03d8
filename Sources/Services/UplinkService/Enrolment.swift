import Base
import Crypto
import HTTP
import HTTPCodec
import JSONCodec
package import Runtime

/// What a node keeps after its enrolment.
package struct EnrolledNode: Equatable, Sendable {
    package let identity: NodeIdentity
    package let certificatePEM: String
    /// Made here; it has not left this host.
    package let privateKeyPEM: String
    package let authorityPEM: String
}

/// The node's half of the enrolment.
package enum Enrolment {
    private static let maxAnswerBytes = 64 * 1024

    /// Makes a key, and buys its certificate with a token.
    ///
    /// - Parameters:
    ///   - central: `host:port` of the central.
    ///   - token: the text that the operator made.
    /// - Throws: `EdgeError`: `.invalid` for a text that is no token, `.forbidden` when the central's authority is not the one in
    ///   the token, and what the central answers.
    package static func enrol(central: String, token text: String, on loop: EventLoop) async throws -> EnrolledNode {
        guard let token = EnrolmentToken(text) else {
            throw EdgeError(.invalid, "this is no enrolment token; it begins with skerry-enroll:1:")
        }
        let authorityPEM = try await fetchAuthority(central, token, loop)
        let request = CertificateRequest.generate(commonName: "skerry node")
        let tls = try TLSContext.client(
            trustPEM: authorityPEM, protocols: ["http/1.1"],
            expectedURIPrefix: NodeIdentity.centralURIPrefix(cluster: token.cluster))
        let client = HTTPClient(loop: loop, tls: tls)
        let body: JSONValue = ["token": .string(text), "csr": .string(request.requestPEM)]
        let response = try await client.send(
            HTTPClientRequest(
                "POST", "https://\(central)/enroll", fields: ["Content-Type": "application/json"],
                body: .bytes(body.serialized())))
        let answer = try? JSONValue.parse(try await response.collect(upTo: maxAnswerBytes))
        await client.close()
        guard response.status == 200 else {
            throw EdgeError(
                response.status == 401 ? .unauthenticated : .unavailable,
                answer?["detail"]?.string ?? "the central answered with status \(response.status)", side: .upstream)
        }
        guard let certificate = answer?["certificate"]?.string, let region = answer?["region"]?.string,
            let name = answer?["name"]?.string,
            let identity = NodeIdentity(cluster: token.cluster, region: region, name: name)
        else { throw EdgeError(.corrupt, "the central's answer is not understood", side: .upstream) }
        return EnrolledNode(
            identity: identity, certificatePEM: certificate, privateKeyPEM: request.privateKeyPEM,
            authorityPEM: authorityPEM)
    }

    /// The authority's certificate, over plain HTTP: the fingerprint in the token tells whether it is the right one.
    private static func fetchAuthority(_ central: String, _ token: EnrolmentToken, _ loop: EventLoop) async throws
        -> String
    {
        let client = HTTPClient(loop: loop)
        let response = try await client.send(HTTPClientRequest("GET", "http://\(central)/enroll/ca"))
        let bytes = try await response.collect(upTo: maxAnswerBytes)
        await client.close()
        guard response.status == 200 else {
            throw EdgeError(
                .unavailable, "http://\(central)/enroll/ca answered with status \(response.status)", side: .upstream)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let fingerprint = try? certificateFingerprint(pem: text),
            constantTimeEquals(fingerprint, token.authorityFingerprint)
        else {
            throw EdgeError(
                .forbidden, "the central at \(central) is not the one that made this token: its authority is another",
                side: .upstream)
        }
        return text
    }
}
