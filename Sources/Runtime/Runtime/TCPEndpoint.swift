public import Base
import CShims
import Glibc

/// One TCP address of this host that accepts connections and makes them, on one event loop: a relayed transport address of RFC 6062.
///
/// Connections are handed out as descriptors, so that another loop can take them; until then what arrives waits in the kernel.
///
/// `@unchecked Sendable`: used on `loop`'s thread alone; the entries check it.
public final class TCPEndpoint: DescriptorHandler, @unchecked Sendable {
    public typealias AcceptHandler = (_ connection: consuming OwnedDescriptor, _ from: SocketAddress) -> Void
    /// Is given nil when there is no connection.
    public typealias ConnectHandler = (_ connection: consuming OwnedDescriptor?) -> Void

    /// Connections that are accepted before other descriptors have their turn.
    private static let maxAccepts = 16

    public let loop: EventLoop
    public let localAddress: SocketAddress
    private var descriptor: Int32
    private var registration: Registration?
    private var onAccept: AcceptHandler?
    private var attempts: [ObjectIdentifier: Attempt] = [:]

    /// Binds and listens. From any thread; `start` and everything after it are on the loop.
    ///
    /// - Parameter backlog: connections that the kernel keeps until they are accepted.
    public init(bind address: SocketAddress, on loop: EventLoop, backlog: Int32) throws(SystemError) {
        self.loop = loop
        // Shared with the sockets that connect from here.
        descriptor = try bindSocket(SOCK_STREAM, to: address, reusePort: true, isFirst: true)
        localAddress = SocketAddress(of: descriptor, getsockname) ?? address
        guard listen(descriptor, backlog) == 0 else {
            let error = SystemError("listen on \(address)")
            Glibc.close(descriptor)
            descriptor = -1
            throw error
        }
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Begins to accept.
    public func start(onAccept: @escaping AcceptHandler) throws(SystemError) {
        loop.preconditionOnLoop()
        self.onAccept = onAccept
        registration = try loop.register(descriptor, [.readable], self)
    }

    public func descriptorIsReady(_ readiness: Readiness) {
        for _ in 0..<Self.maxAccepts {
            guard descriptor >= 0, let onAccept else { return }
            let accepted = skerry_accept(descriptor)
            guard accepted >= 0 else {
                // Without a descriptor to spare this peer is told so; it must not report itself for ever.
                if errno == EMFILE || errno == ENFILE { backOff() }
                return
            }
            setOption(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            let connection = OwnedDescriptor(accepted)
            guard let peer = SocketAddress(of: accepted, getpeername) else { continue }
            onAccept(connection, peer)
        }
    }

    private func backOff() {
        guard let registration else { return }
        loop.modify(registration, [])
        loop.schedule(after: .milliseconds(100)) { [weak self] in
            guard let self, let registration = self.registration else { return }
            loop.modify(registration, [.readable])
        }
    }

    /// Makes a connection from this address.
    ///
    /// - Parameter completion: called once, on the loop, but never during the call; with nil when the endpoint is closed meanwhile.
    public func connect(to peer: SocketAddress, timeout: Duration, completion: @escaping ConnectHandler) {
        loop.preconditionOnLoop()
        let attempt = Attempt(self, completion)
        attempts[ObjectIdentifier(attempt)] = attempt
        if descriptor >= 0 { attempt.begin(from: localAddress, to: peer, timeout: timeout) } else { attempt.fail() }
    }

    fileprivate func ended(_ attempt: Attempt) { attempts[ObjectIdentifier(attempt)] = nil }

    /// Ends what is being made, too; connections that were handed out are not touched. Closing twice does nothing.
    public func close() {
        loop.preconditionOnLoop()
        guard descriptor >= 0 else { return }
        if let registration { loop.deregister(registration) }
        registration = nil
        onAccept = nil
        Glibc.close(descriptor)
        descriptor = -1
        for attempt in Array(attempts.values) { attempt.finish(isReady: false) }
    }
}

/// A connection in the making.
///
/// `@unchecked Sendable`: used on the loop alone.
private final class Attempt: DescriptorHandler, @unchecked Sendable {
    private let endpoint: TCPEndpoint
    private var completion: TCPEndpoint.ConnectHandler?
    private var descriptor: Int32 = -1
    private var registration: Registration?
    private var timer: TimerID?

    init(_ endpoint: TCPEndpoint, _ completion: @escaping TCPEndpoint.ConnectHandler) {
        self.endpoint = endpoint
        self.completion = completion
    }

    private var loop: EventLoop { endpoint.loop }

    func begin(from local: SocketAddress, to peer: SocketAddress, timeout: Duration) {
        guard let created = try? bindSocket(SOCK_STREAM, to: local, reusePort: true, isFirst: false) else {
            return fail()
        }
        descriptor = created
        setOption(created, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        let started = peer.withSockaddr { Glibc.connect(created, $0, $1) }
        guard started == 0 || errno == EINPROGRESS,
            let registration = try? loop.register(created, [.writable], self)
        else { return fail() }
        self.registration = registration
        timer = loop.schedule(after: timeout) { [weak self] in self?.finish(isReady: false) }
    }

    /// Later, so that the caller has returned.
    func fail() { loop.execute { self.finish(isReady: false) } }

    func descriptorIsReady(_ readiness: Readiness) {
        finish(isReady: option(descriptor, SOL_SOCKET, SO_ERROR) == 0)
    }

    func finish(isReady: Bool) {
        guard let completion else { return }
        self.completion = nil
        if let timer { loop.cancel(timer) }
        if let registration { loop.deregister(registration) }
        endpoint.ended(self)
        let connection = descriptor >= 0 ? OwnedDescriptor(descriptor) : nil
        descriptor = -1
        if isReady { completion(connection) } else { completion(nil) }
    }
}
