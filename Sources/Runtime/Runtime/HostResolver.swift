public import Base
import Glibc
import Synchronization

/// Names to addresses by the system's resolver, which blocks and so runs on a pool.
public struct HostResolver: Sendable {
    private let pool: BlockingPool

    public init(pool: BlockingPool) { self.pool = pool }

    /// - Parameter host: a name, or an IP address, which is returned as it is.
    /// - Throws: `EdgeError` `.unavailable` when there is no address.
    public func resolve(_ host: String, port: UInt16) async throws -> [SocketAddress] {
        if let ip = IPAddress(host) { return [SocketAddress(ip, port: port)] }
        return try await pool.run { try Self.lookUp(host, port) }
    }

    /// As `resolve`, for no longer than the caller wants to wait: the look-up itself goes on, on its thread.
    ///
    /// - Throws: as `resolve`; `EdgeError` `.timeout`; `CancellationError`.
    public func resolve(
        _ host: String, port: UInt16, on loop: EventLoop, within timeout: Duration
    ) async throws -> [SocketAddress] {
        if let ip = IPAddress(host) { return [SocketAddress(ip, port: port)] }
        let lookUp = LookUp()
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                guard lookUp.begin(continuation) else { return }
                do {
                    try pool.submit { lookUp.finish(Result { try Self.lookUp(host, port) }) }
                } catch {
                    return lookUp.finish(.failure(error))
                }
                loop.execute {
                    let timer = loop.schedule(after: timeout) {
                        lookUp.finish(
                            .failure(
                                EdgeError(
                                    .timeout, "the name \(host) was not resolved in time", side: .upstream,
                                    isRetryable: true)))
                    }
                    lookUp.onEnd { loop.execute { loop.cancel(timer) } }
                }
            }
        } onCancel: {
            lookUp.finish(.failure(CancellationError()))
        }
    }

    private static func lookUp(_ host: String, _ port: UInt16) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard status == 0 else {
            throw EdgeError(
                .unavailable, "\(host) has no address: \(String(cString: gai_strerror(status)))", side: .upstream,
                isRetryable: true)
        }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen)))
            }
            if let address = SocketAddress(storage) { addresses.append(SocketAddress(address.ip, port: port)) }
            next = entry.ai_next
        }
        return addresses
    }
}

/// One look-up that is waited for: resumed once, by its answer, its deadline or a cancellation, whichever comes first.
private final class LookUp: Sendable {
    private struct State {
        var continuation: UnsafeContinuation<[SocketAddress], any Error>?
        var outcome: Result<[SocketAddress], any Error>?
        var cleanUp: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// - Returns: false when it has ended before it began.
    func begin(_ continuation: UnsafeContinuation<[SocketAddress], any Error>) -> Bool {
        let outcome = state.withLock { state in
            if state.outcome == nil { state.continuation = continuation }
            return state.outcome
        }
        if let outcome { continuation.resume(with: outcome) }
        return outcome == nil
    }

    func finish(_ outcome: Result<[SocketAddress], any Error>) {
        let (continuation, cleanUp) = state.withLock { state in
            guard state.outcome == nil else {
                return (nil as UnsafeContinuation<[SocketAddress], any Error>?, nil as (@Sendable () -> Void)?)
            }
            state.outcome = outcome
            defer { (state.continuation, state.cleanUp) = (nil, nil) }
            return (state.continuation, state.cleanUp)
        }
        continuation?.resume(with: outcome)
        cleanUp?()
    }

    /// Runs the body when the look-up has ended; at once if it has.
    func onEnd(_ body: @escaping @Sendable () -> Void) {
        let hasEnded = state.withLock { state in
            if state.outcome == nil { state.cleanUp = body }
            return state.outcome != nil
        }
        if hasEnded { body() }
    }
}
