import Base
import HTTPCodec
import Runtime

extension EdgeError {
    /// What the failure of a stream means to whoever reads or writes messages over it.
    init(_ error: StreamError, side: Side, while doing: String) {
        switch error {
        case .closed: self.init(.closed, "the connection was closed while \(doing)", side: side, isRetryable: true)
        case .timedOut: self.init(.timeout, "the other side was too slow while \(doing)", side: side, isRetryable: true)
        case .failed, .tls, .receiveLimitExceeded:
            self.init(.io, "the connection failed while \(doing)", side: side, isRetryable: true, cause: error)
        }
    }
}
