package import Base
package import HTTPCodec
package import JSONCodec

/// An error as a client sees it (RFC 9457): what was wrong, what is allowed, what to do. May be thrown by handlers.
package struct ProblemDetails: Error, Sendable {
    /// A URI that names the kind of problem; `about:blank` when the status says it all.
    package var type: String
    package var status: Int
    package var title: String
    package var detail: String
    /// Fields of the response that belong to the problem: `Retry-After`, `Allow`, `WWW-Authenticate`.
    package var fields: HTTPFields
    /// Members beside the standard ones, in order.
    package var members: [(name: String, value: JSONValue)]

    /// - Parameter title: the status's reason phrase if not given.
    package init(
        status: Int, type: String = "about:blank", title: String? = nil, detail: String, fields: HTTPFields = [:],
        members: [(name: String, value: JSONValue)] = []
    ) {
        self.type = type
        self.status = status
        self.title = title ?? HTTPResponse.reasonPhrase(of: status)
        self.detail = detail
        self.fields = fields
        self.members = members
    }

    /// What an error above the codecs means to a client. Our own side's messages are kept from it.
    package init(_ error: EdgeError) {
        let status =
            switch error.kind {
            case .invalid: 400
            case .unauthenticated: 401
            case .forbidden: 403
            case .notFound: 404
            case .conflict: 409
            case .tooLarge: 413
            case .exhausted: 429
            // The client's own connection: nothing here failed.
            case .closed where error.side == .peer, .io where error.side == .peer: 400
            case .unavailable, .closed: 503
            case .timeout: error.side == .peer ? 408 : 504
            case .corrupt, .io: 500
            }
        let isOurs = status >= 500 && error.side != .peer
        self.init(status: status, detail: isOurs ? "Something went wrong here. Try again later." : error.message)
        switch status {
        case 401: fields.append(name: "WWW-Authenticate", value: "Bearer")
        case 429, 503: fields.append(name: "Retry-After", value: "1")
        default: break
        }
    }

    /// What a message that could not be parsed is answered with.
    init(_ error: HTTPParsingError) {
        self.init(status: error.status, detail: "The request is not valid HTTP/1.1: \(error).")
    }

    /// The answer's head and its `application/problem+json` body.
    package func response() -> (head: HTTPResponse, body: [UInt8]) {
        var object = JSONObject()
        object["type"] = .string(type)
        object["title"] = .string(title)
        object["status"] = JSONValue(status)
        object["detail"] = .string(detail)
        for (name, value) in members { object[name] = value }
        var head = HTTPResponse(status: status, fields: fields)
        head.fields.append(name: "Content-Type", value: "application/problem+json")
        head.fields.append(name: "Cache-Control", value: "no-store")
        return (head, JSONValue.object(object).serialized())
    }
}
