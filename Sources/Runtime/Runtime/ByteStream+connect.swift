public import Base
import Glibc

extension ByteStream {
    /// Opens a TCP connection. Called on the loop.
    ///
    /// - Throws: `StreamError.timedOut`, `.closed` when the task is cancelled, or `.failed` with what the network said.
    public static func connect(
        to address: SocketAddress, on loop: EventLoop, timeout: Duration
    ) async throws(StreamError) -> ByteStream {
        loop.preconditionOnLoop()
        let descriptor: Int32
        do {
            descriptor = try makeSocket(address.ip.family, SOCK_STREAM)
        } catch {
            throw .failed(error)
        }
        setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        let started = address.withSockaddr { Glibc.connect(descriptor, $0, $1) }
        if started < 0, errno != EINPROGRESS, errno != EINTR {
            let error = SystemError("connect")
            Glibc.close(descriptor)
            throw .failed(error)
        }
        let attempt = ConnectAttempt()
        let registration: Registration
        do {
            registration = try loop.register(descriptor, [.writable], attempt)
        } catch {
            Glibc.close(descriptor)
            throw .failed(error)
        }
        let timer = loop.schedule(after: timeout) { attempt.finish(.timedOut) }
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { attempt.wait($0) }
        } onCancel: {
            loop.execute { attempt.finish(.cancelled) }
        }
        loop.cancel(timer)
        loop.deregister(registration)
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        guard outcome == .ready, code == 0 else {
            Glibc.close(descriptor)
            switch outcome {
            case .timedOut: throw .timedOut
            case .cancelled: throw .closed
            case .ready: throw .failed(SystemError("connect", code))
            }
        }
        do {
            return try ByteStream(adopting: descriptor, on: loop)
        } catch {
            throw .failed(error)
        }
    }
}

/// `@unchecked Sendable`: used on the loop alone.
private final class ConnectAttempt: DescriptorHandler, @unchecked Sendable {
    enum Outcome { case ready, timedOut, cancelled }

    private var waiter: UnsafeContinuation<Outcome, Never>?
    private var outcome: Outcome?

    func wait(_ waiting: UnsafeContinuation<Outcome, Never>) {
        if let outcome { waiting.resume(returning: outcome) } else { waiter = waiting }
    }

    func descriptorIsReady(_ readiness: Readiness) { finish(.ready) }

    func finish(_ outcome: Outcome) {
        guard self.outcome == nil else { return }
        self.outcome = outcome
        waiter?.resume(returning: outcome)
        waiter = nil
    }
}

/// A non-blocking socket that programs started later do not inherit.
func makeSocket(_ family: IPAddress.Family, _ kind: __socket_type) throws(SystemError) -> Int32 {
    let flags = Int32(kind.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family == .v4 ? AF_INET : AF_INET6, flags, 0)
    guard descriptor >= 0 else { throw SystemError("socket") }
    if family == .v6 { setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    return descriptor
}

func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
}

func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) -> Int32 {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, level, option, &value, &size)
    return value
}

/// Binds a socket with SO_REUSEPORT when asked, after making sure that no other process holds the address: the kernel would
/// otherwise silently share it between two processes of one user.
func bindSocket(
    _ kind: __socket_type, to address: SocketAddress, reusePort: Bool, isFirst: Bool
) throws(SystemError) -> Int32 {
    if reusePort, isFirst, address.port != 0 {
        let probe = try makeSocket(address.ip.family, kind)
        defer { Glibc.close(probe) }
        if kind == SOCK_STREAM { setOption(probe, SOL_SOCKET, SO_REUSEADDR, 1) }
        guard address.withSockaddr({ bind(probe, $0, $1) }) == 0 else { throw SystemError("bind to \(address)") }
    }
    let descriptor = try makeSocket(address.ip.family, kind)
    if kind == SOCK_STREAM { setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) }
    if reusePort { setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
    guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
        let error = SystemError("bind to \(address)")
        Glibc.close(descriptor)
        throw error
    }
    return descriptor
}
