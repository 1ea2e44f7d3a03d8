public import Base
import CShims
import Glibc

/// Accepts TCP connections: one listening socket per loop on the same address (SO_REUSEPORT), so that a connection stays where
/// the kernel put it.
public final class TCPListener: Sendable {
    public let localAddress: SocketAddress
    private let acceptors: [Acceptor]

    /// Listens, and hands every connection to the closure on the loop that owns it.
    ///
    /// While the process has no descriptor left, connections wait in the kernel's queue: accepting goes on when one of the loop's
    /// descriptors comes free, and after 100 ms in any case.
    ///
    /// - Parameter backlog: connections that the kernel keeps for each loop until they are accepted; it gives no more than
    ///   net.core.somaxconn.
    /// - Throws: `SystemError`, also when another process has the address.
    public static func listen(
        on address: SocketAddress, loops: [EventLoop], backlog: Int32 = 1024,
        onAccept: @escaping @Sendable (ByteStream) -> Void
    ) throws(SystemError) -> TCPListener {
        var bound = address
        var acceptors: [Acceptor] = []
        for loop in loops {
            let descriptor = try bindSocket(SOCK_STREAM, to: bound, reusePort: true, isFirst: acceptors.isEmpty)
            let acceptor = Acceptor(descriptor: descriptor, loop: loop, onAccept: onAccept)
            acceptors.append(acceptor)
            guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemError("listen on \(bound)") }
            bound = SocketAddress(of: descriptor, getsockname) ?? bound
        }
        for acceptor in acceptors { acceptor.start() }
        return TCPListener(localAddress: bound, acceptors: acceptors)
    }

    private init(localAddress: SocketAddress, acceptors: [Acceptor]) {
        self.localAddress = localAddress
        self.acceptors = acceptors
    }

    /// Stops accepting. Connections that stand are not touched.
    public func close() {
        for acceptor in acceptors { acceptor.stop() }
    }
}

/// One listening socket.
///
/// `@unchecked Sendable`: its state is used on `loop`'s thread alone.
final class Acceptor: DescriptorHandler, @unchecked Sendable {
    private let loop: EventLoop
    private let onAccept: @Sendable (ByteStream) -> Void
    private var descriptor: Int32
    private var registration: Registration?
    private var isPaused = false
    /// A pause that the timer ended leaves its place among those who wait for a descriptor to the next.
    private var awaitsDescriptor = false
    private var timer: TimerID?

    init(descriptor: Int32, loop: EventLoop, onAccept: @escaping @Sendable (ByteStream) -> Void) {
        self.descriptor = descriptor
        self.loop = loop
        self.onAccept = onAccept
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    func start() {
        loop.execute {
            guard self.descriptor >= 0 else { return }
            self.registration = try? self.loop.register(self.descriptor, [.readable], self)
            precondition(self.registration != nil, "a fresh listening socket cannot be watched")
        }
    }

    func stop() {
        loop.execute {
            if let registration = self.registration { self.loop.deregister(registration) }
            if self.descriptor >= 0 { Glibc.close(self.descriptor) }
            self.registration = nil
            self.descriptor = -1
        }
    }

    func descriptorIsReady(_ readiness: Readiness) {
        for _ in 0..<64 {
            let accepted = skerry_accept(descriptor)
            guard accepted >= 0 else {
                if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM { backOff() }
                return
            }
            setOption(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            guard let stream = try? ByteStream(adopting: accepted, on: loop) else { continue }
            onAccept(stream)
        }
    }

    /// Out of descriptors: the pending connection would report itself again at once, so look away for a moment.
    private func backOff() {
        guard let registration else { return }
        loop.counters.acceptPauses.add(1)
        loop.modify(registration, [])
        isPaused = true
        if !awaitsDescriptor {
            awaitsDescriptor = true
            loop.whenDescriptorIsFree { [weak self] in
                self?.awaitsDescriptor = false
                self?.resume()
            }
        }
        timer = loop.schedule(after: .milliseconds(100)) { [weak self] in self?.resume() }
    }

    private func resume() {
        guard isPaused, let registration else { return }
        isPaused = false
        if let timer { loop.cancel(timer) }
        loop.modify(registration, [.readable])
    }
}
