package import Base
package import STUN

/// What a client logs in to a relay with.
package struct RelayLogin: Equatable, Sendable {
    package let username: String
    package let credential: String

    package init(username: String, credential: String) {
        self.username = username
        self.credential = credential
    }
}

/// A relay's error answer.
package struct TURNRefusal: Error, Equatable {
    package let method: STUNMethod
    package let code: STUNErrorCode

    package init(method: STUNMethod, code: STUNErrorCode) {
        self.method = method
        self.code = code
    }

    /// As callers throw it.
    package var error: EdgeError {
        let (kind, meaning): (EdgeError.Kind, String) =
            switch code {
            case .unauthenticated, .wrongCredentials: (.unauthenticated, "the credentials do not count or have expired")
            case .forbidden: (.forbidden, "the peer is one that it does not relay to")
            case .allocationMismatch: (.closed, "the allocation is gone")
            case .allocationQuotaReached: (.exhausted, "the user has as many allocations as it may")
            case .insufficientCapacity: (.exhausted, "it takes no more at present")
            default: (.invalid, "it does not accept the request")
            }
        return EdgeError(
            kind, "the relay refused with \(code.rawValue): \(meaning)", side: .upstream,
            isRetryable: kind == .exhausted,
            cause: self)
    }
}
