import Base
import HTTP
import HTTPCodec
import MediaEngine

/// The problems of media that have a type of their own, or a status that the kind of error does not tell.
enum MediaProblem {
    static func type(_ name: String) -> String { "urn:skerry:problem:\(name)" }

    static var notFound: EdgeError {
        EdgeError(.notFound, "there is no such media, or it is not yours")
    }

    static func digestMismatch(actual: MediaID) -> ProblemDetails {
        ProblemDetails(
            status: 422, type: type("digest-mismatch"),
            detail: "The bytes have the SHA-256 \(actual), not the declared one. The upload is gone: send it again.")
    }

    static var sealedHasNoDerivatives: ProblemDetails {
        ProblemDetails(
            status: 404, type: type("sealed-media"), title: "Sealed media",
            detail: "The media is sealed: its client has encrypted it, and nothing is derived from it here.")
    }

    static func notReady(retryAfterSeconds: Int) -> ProblemDetails {
        ProblemDetails(
            status: 503, type: type("derivative-not-ready"), title: "Not ready",
            detail: "It is being made. Ask again, or send Prefer: wait=SECONDS.",
            fields: ["Retry-After": "\(retryAfterSeconds)"])
    }

    static var cannotBeDerived: ProblemDetails {
        ProblemDetails(
            status: 422, type: type("derivative-impossible"), title: "Cannot be derived",
            detail: "No thumbnail can be made of this media. Known are JPEG, PNG, and H.264 in MP4.")
    }

    static var superseded: ProblemDetails {
        ProblemDetails(
            status: 409, type: type("upload-superseded"), title: "Superseded",
            detail:
                "A newer request has taken the upload over, or its last write failed. Ask for its offset with HEAD and go on there."
        )
    }

    static func offsetMismatch(expected: Int64) -> ProblemDetails {
        ProblemDetails(
            status: 409, type: type("offset-mismatch"), title: "Wrong offset",
            detail: "The upload has \(expected) bytes: send what follows, with Upload-Offset: \(expected).",
            fields: ["Upload-Offset": "\(expected)"])
    }

    static func tooLong(limit: Int64) -> ProblemDetails {
        ProblemDetails(
            status: 413, detail: "The request goes past the upload's length: \(limit) bytes are still wanted.")
    }

    static func tooLarge(maximumBytes: Int64) -> ProblemDetails {
        ProblemDetails(
            status: 413, detail: "An upload has at most \(maximumBytes) bytes.",
            fields: ["Tus-Max-Size": "\(maximumBytes)"])
    }

    /// 507 for a full disk, which `EdgeError` alone would not tell from a quota.
    static func ofUpload(_ error: EdgeError) -> ProblemDetails {
        guard error.kind == .exhausted, error.side == .internal else { return ProblemDetails(error) }
        return ProblemDetails(
            status: 507,
            detail: "This node has no room for the upload now. What was acknowledged is kept; try again later.",
            fields: ["Retry-After": "30"])
    }
}
