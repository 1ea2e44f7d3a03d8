package import Base
import WorkerProtocol

/// Why there is no thumbnail.
package enum MediaWorkerError: Error, Equatable, Sendable {
    /// Not a format, or a codec within it, that workers decode.
    case unsupported
    /// More pixels, or more bytes of a picture, than the configuration allows.
    case tooLarge
    /// The format is right, and nothing in it can be decoded.
    case corrupt
    /// The job needed more memory, processor time, input or output than the configuration allows.
    case limitExceeded
    /// The worker was not done at the deadline.
    case timedOut
    /// The worker ended without an answer; 0 when by an exit of its own.
    case crashed(signal: Int32)
    /// Something else killed the worker: the kernel for lack of memory, or a person.
    case killed
    /// The worker tried what its sandbox forbids, or said what no worker says: its input has likely taken it over.
    case misbehaved
    /// The kernel refused a part of the sandbox; nothing was read.
    case noSandbox
    /// As many jobs wait as may.
    case overloaded
    /// No worker could be started.
    case notStarted(errno: Int32)
    /// The pool is shut down.
    case closed

    /// Whether the same input would fail again: the answer may be kept.
    package var isFinal: Bool {
        switch self {
        case .unsupported, .tooLarge, .corrupt, .limitExceeded, .crashed, .misbehaved: true
        case .timedOut, .killed, .noSandbox, .overloaded, .notStarted, .closed: false
        }
    }

    package var edgeError: EdgeError {
        switch self {
        case .unsupported:
            EdgeError(
                .invalid, "no thumbnail is made of this format; JPEG, PNG and H.264 in MP4 are known", cause: self)
        case .tooLarge:
            EdgeError(.tooLarge, "the picture has more pixels or bytes than thumbnails are made of", cause: self)
        case .corrupt: EdgeError(.corrupt, "the picture or video cannot be decoded", cause: self)
        case .limitExceeded: EdgeError(.exhausted, "the picture or video takes too much to decode", cause: self)
        case .timedOut:
            EdgeError(.timeout, "the thumbnail took too long", side: .upstream, isRetryable: true, cause: self)
        case .crashed, .misbehaved:
            EdgeError(.corrupt, "the decoder failed on this input", side: .upstream, cause: self)
        case .killed, .noSandbox, .notStarted, .closed:
            EdgeError(.unavailable, "no thumbnail can be made now", side: .internal, isRetryable: true, cause: self)
        case .overloaded:
            EdgeError(.exhausted, "too many thumbnails are waiting", side: .internal, isRetryable: true, cause: self)
        }
    }

    init?(_ failure: WorkerFailure) {
        switch failure {
        case .unsupported: self = .unsupported
        case .tooLarge: self = .tooLarge
        case .corrupt: self = .corrupt
        case .limit: self = .limitExceeded
        case .sandbox: self = .noSandbox
        // What this side sends is always understood, and it knows when it does not deliver.
        case .input, .job: return nil
        }
    }
}
