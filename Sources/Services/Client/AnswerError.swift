package import Base
import HTTP
import HTTPCodec
import JSONCodec

/// An HTTP answer that is not the one asked for.
package struct AnswerError: Error, CustomStringConvertible {
    package let status: Int
    /// From `Retry-After`.
    package let retryAfter: Duration?
    /// The problem details' title and detail (RFC 9457), or what the status says.
    package let message: String

    /// Whether the same request may succeed later.
    package var isRetryable: Bool { Self.isRetryable(status) }

    static func isRetryable(_ status: Int) -> Bool {
        switch status {
        case 408, 423, 425, 429, 500, 502, 503, 504: true
        default: false
        }
    }

    package var description: String { "\(message) (HTTP \(status))" }

    package var edgeError: EdgeError {
        let kind: EdgeError.Kind =
            switch status {
            case 401: .unauthenticated
            case 403: .forbidden
            case 404, 410: .notFound
            case 409, 412: .conflict
            case 413: .tooLarge
            case 429, 507: .exhausted
            case 408, 504: .timeout
            case 400..<500: .invalid
            default: .unavailable
            }
        return EdgeError(kind, description, side: .upstream, isRetryable: isRetryable)
    }

    /// Reads what is left of the answer, so that the connection can be used again.
    static func reading(_ response: HTTPClientResponse) async -> AnswerError {
        let body = try? await response.collect(upTo: 64 * 1024)
        let retryAfter = response.fields["Retry-After"].flatMap { Int64($0) }.map { Duration.seconds(min($0, 3600)) }
        return AnswerError(
            status: response.status, retryAfter: retryAfter, message: message(status: response.status, body: body ?? [])
        )
    }

    static func message(status: Int, body: [UInt8]) -> String {
        guard let json = try? JSONValue.parse(body) else { return HTTPResponse.reasonPhrase(of: status) }
        let parts = [json["title"]?.string, json["detail"]?.string].compactMap { $0 }
        return parts.isEmpty ? HTTPResponse.reasonPhrase(of: status) : parts.joined(separator: ": ")
    }
}
