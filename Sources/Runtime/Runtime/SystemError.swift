import Base
import Glibc

/// A system call that failed: which one, and its errno.
public struct SystemError: Error, Equatable, CustomStringConvertible {
    public let call: String
    public let code: Int32

    public init(_ call: String, _ code: Int32) {
        self.call = call
        self.code = code
    }

    /// The call that has just failed on this thread.
    public init(_ call: String) { self.init(call, errno) }

    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// Why a stream can no longer be used.
public enum StreamError: Error, Equatable {
    /// This side closed it.
    case closed
    case timedOut
    /// The peer reset it, or the network failed.
    case failed(SystemError)
    case tls(String)
    /// More arrived unread than the stream's receive limit allows.
    case receiveLimitExceeded
}

/// Runs a system call again while signals interrupt it; a bad descriptor or address is our own fault and fatal, since going on
/// could touch somebody else's connection.
@inline(__always)
func retryingInterrupts(_ name: @autoclosure () -> String, _ body: () -> Int) throws(SystemError) -> Int {
    while true {
        let result = body()
        if result >= 0 { return result }
        switch errno {
        case EINTR: continue
        case EBADF, EFAULT: preconditionFailure("\(name()): bad descriptor or address")
        default: throw SystemError(name())
        }
    }
}
