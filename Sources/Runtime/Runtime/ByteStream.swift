public import Base
import Glibc

let noSignal = Int32(MSG_NOSIGNAL)

/// A stream connection, plain or under TLS, that lives on one event loop.
///
/// At most one task receives and one sends at a time (precondition). Receiving stops when nobody asks, sending returns when
/// the kernel has taken the bytes: back-pressure reaches both ends. Deadlines are the caller's: `close` wakes whoever waits.
///
/// `@unchecked Sendable`: all state is used on `loop`'s thread alone; the entries check it.
public final class ByteStream: DescriptorHandler, @unchecked Sendable {
    public let loop: EventLoop
    public let remoteAddress: SocketAddress
    public let localAddress: SocketAddress

    /// What has arrived and is not yet consumed.
    public var inbound: ReceiveBuffer
    /// Bytes that `receive` asks of the kernel at once. Raise it while a large body passes.
    public var receiveBytes = 16 * 1024

    var descriptor: Int32
    private var registration: Registration?
    var hasReceivedEnd = false
    /// Called when the connection turns out to be lost both ways: reset by the peer, or given up by the kernel. A peer that only
    /// sends no more has not hung up.
    public var onHangUp: (() -> Void)?
    /// Why nothing can be done any more.
    var failure: StreamError?
    /// Why nothing can be sent any more; what has arrived can still be received.
    var sendFailure: StreamError?
    private var reader = ReadinessWaiter()
    /// The kernel has no more bytes, and tells when it has: the read before found fewer than it asked for.
    private var isDrained = true
    /// The kernel has told all that it will of this direction: reads find the rest and the end.
    private var isLastReadable = false
    var writer = ReadinessWaiter()
    private var burst = 0
    var session: TLSSession?
    /// What the kernel has not taken yet: sealed records, or what was posted.
    var outbound: [UInt8] = []
    var outboundSent = 0
    /// The loop flushes what was posted at the end of its iteration.
    var isToBeFlushed = false
    /// The most that `post` was allowed to leave waiting.
    var maxPostedBytes = 0
    /// `receive` is to return, whatever has come.
    private var isInterrupted = false
    /// The peer's first bytes came with the end of its handshake.
    var hasUnseenInbound = false

    /// Takes over a connected, non-blocking stream socket. Called on the loop.
    public init(adopting descriptor: Int32, on loop: EventLoop) throws(SystemError) {
        loop.preconditionOnLoop()
        self.loop = loop
        self.descriptor = descriptor
        inbound = ReceiveBuffer(loop.receiveBlocks)
        let nowhere = SocketAddress(.anyV4, port: 0)
        remoteAddress = SocketAddress(of: descriptor, getpeername) ?? nowhere
        localAddress = SocketAddress(of: descriptor, getsockname) ?? nowhere
        do {
            registration = try loop.register(descriptor, [.readable, .writable, .peerEnded, .edgeTriggered], self)
        } catch {
            Glibc.close(descriptor)
            // All of the object is made, so that `deinit` follows.
            self.descriptor = -1
            throw error
        }
    }

    /// Takes over a connection that came from elsewhere.
    public convenience init(adopting connection: consuming OwnedDescriptor, on loop: EventLoop) throws(SystemError) {
        try self.init(adopting: connection.take(), on: loop)
    }

    deinit { precondition(descriptor < 0, "a stream must be closed before it is dropped") }

    /// The other side, as TLS proved it; nil on a plain connection.
    public var tls: TLSPeer? { session?.peer }

    public var isClosed: Bool { descriptor < 0 }

    // MARK: Receiving

    /// Waits until `inbound` has at least one more byte.
    ///
    /// - Returns: false at the end of the stream.
    public func receive() async throws(StreamError) -> Bool {
        loop.preconditionOnLoop()
        if isItOthersTurn() { await Task.yield() }
        if let session { return try await receiveOpened(session) }
        // Every idle connection waits here: what is kept over the wait is memory of each of them.
        while true {
            if let isMore = try receiveNow() { return isMore }
            if takeInterruption() { return true }
            await withUnsafeContinuation { reader.wait($0) }
        }
    }

    /// Has `receive` return at once, if it waits, or the next time that it would: true, whether there are bytes or not.
    public func interruptReceive() {
        loop.preconditionOnLoop()
        isInterrupted = true
        reader.wake()
    }

    func takeInterruption() -> Bool {
        defer { isInterrupted = false }
        return isInterrupted
    }

    /// Returns nil when there is nothing yet.
    private func receiveNow() throws(StreamError) -> Bool? {
        while true {
            if let failure { throw failure }
            if hasReceivedEnd { return false }
            let count = mayHaveBytes ? inbound.append(capacity: receiveBytes) { receive(into: $0) } : blocked()
            if count > 0 { return true }
            if count == 0 {
                hasReceivedEnd = true
            } else if try mustWait() {
                return nil
            }
        }
    }

    private var mayHaveBytes: Bool { !isDrained || isLastReadable }

    private func blocked() -> Int {
        errno = EAGAIN
        return -1
    }

    /// One read of what has arrived, as `recv`; asks the kernel only if it may have something.
    func receive(into space: UnsafeMutableRawBufferPointer) -> Int {
        guard mayHaveBytes else { return blocked() }
        let count = recv(descriptor, space.baseAddress, space.count, 0)
        isDrained = count < space.count
        // What arrived before is read; what comes behind it is told anew.
        reader.forget()
        return count
    }

    func waitUntilReadable() async throws(StreamError) {
        if let failure { throw failure }
        guard try mustWait() else { return }
        await withUnsafeContinuation { reader.wait($0) }
        if let failure { throw failure }
    }

    /// Behind a read that got nothing; false when it is to be repeated at once.
    private func mustWait() throws(StreamError) -> Bool {
        if errno == EINTR {
            isDrained = false
            return false
        }
        if let error = errorUnlessBlocked("recv") {
            failure = error
            throw error
        }
        inbound.shrink()
        burst = 0
        return true
    }

    /// A peer that always has bytes ready must not keep the loop from its other connections.
    func giveOthersTheirTurn() async {
        if isItOthersTurn() { await Task.yield() }
    }

    private func isItOthersTurn() -> Bool {
        burst += 1
        if burst < 16 { return false }
        burst = 0
        return true
    }

    // MARK: Sending

    /// Returns when the kernel has taken all bytes.
    public func send(_ bytes: [UInt8]) async throws(StreamError) {
        loop.preconditionOnLoop()
        try throwIfUnsendable()
        if let session { return try await sendSealed(bytes, session) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + offset }, bytes.count - offset, noSignal)
            }
            if count > 0 { offset += count } else { try await waitUntilWritable("send") }
        }
    }

    /// Sends pieces as if they were one, with one system call where the kernel takes all. At most 16 pieces (precondition).
    public func send(pieces: [[UInt8]]) async throws(StreamError) {
        loop.preconditionOnLoop()
        precondition(pieces.count <= 16)
        try throwIfUnsendable()
        if let session { return try await sendSealed(pieces: pieces, session) }
        let total = pieces.reduce(0) { $0 + $1.count }
        var sent = gather(pieces)
        if sent < 0 {
            try await waitUntilWritable("sendmsg")
            sent = 0
        }
        guard sent < total else { return }
        for piece in pieces {
            if sent >= piece.count {
                sent -= piece.count
            } else {
                try await send(sent == 0 ? piece : Array(piece[sent...]))
                sent = 0
            }
        }
    }

    private func gather(_ pieces: [[UInt8]]) -> Int {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: pieces.count) { vectors in
            func fill(_ index: Int) -> Int {
                guard index < pieces.count else {
                    var message = msghdr()
                    message.msg_iov = vectors.baseAddress
                    message.msg_iovlen = pieces.count
                    return sendmsg(descriptor, &message, noSignal)
                }
                return pieces[index].withUnsafeBytes { bytes in
                    vectors[index] = iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
                    return fill(index + 1)
                }
            }
            return fill(0)
        }
    }

    func waitUntilWritable(_ call: StaticString) async throws(StreamError) {
        try throwIfUnsendable()
        if errno == EINTR { return }
        if let error = errorUnlessBlocked(call) {
            sendFailure = error
            throw error
        }
        await withUnsafeContinuation { writer.wait($0) }
        try throwIfUnsendable()
    }

    func throwIfUnsendable() throws(StreamError) {
        if let failure = failure ?? sendFailure { throw failure }
    }

    /// What the last system call's errno means for the stream; nil if it would have blocked.
    func errorUnlessBlocked(_ call: StaticString) -> StreamError? {
        switch errno {
        case EAGAIN: return nil
        case EBADF, EFAULT: preconditionFailure("\(call): bad descriptor or address")
        default: return .failed(SystemError("\(call)"))
        }
    }

    // MARK: Ending

    /// Tells the peer that nothing more will be sent; receiving goes on.
    public func finish() async {
        loop.preconditionOnLoop()
        guard descriptor >= 0, failure == nil else { return }
        if let session {
            session.sendCloseNotify()
            try? await flushSealedFully()
        } else {
            try? await flushPosted()
        }
        if descriptor >= 0 { shutdown(descriptor, Int32(SHUT_WR)) }
    }

    /// Ends the connection; a waiting reader or writer is woken with the error. Closing twice does nothing.
    public func close(_ reason: StreamError = .closed) {
        loop.preconditionOnLoop()
        guard descriptor >= 0 else { return }
        // What was posted in this iteration, as far as there is room.
        if isToBeFlushed, failure == nil, sendFailure == nil { flushOutbound() }
        if failure == nil || reason == .timedOut { failure = reason }
        if let registration { loop.deregister(registration) }
        registration = nil
        Glibc.close(descriptor)
        descriptor = -1
        reader.wake()
        writer.wake()
    }

    public func descriptorIsReady(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.error, .hangUp]) { onHangUp?() }
        if !readiness.isDisjoint(with: [.peerEnded, .error, .hangUp]) { isLastReadable = true }
        if !readiness.isDisjoint(with: [.readable, .peerEnded, .error, .hangUp]) {
            isDrained = false
            reader.wake()
        }
        if !readiness.isDisjoint(with: [.writable, .error, .hangUp]) {
            if !outbound.isEmpty && !writer.isWaiting { flushOutbound() }
            writer.wake()
        }
    }
}

/// Who waits for a descriptor in one direction. Readiness that comes while nobody waits is kept: it is reported once, and may come
/// between the system call that would have blocked and the wait.
struct ReadinessWaiter {
    private var continuation: UnsafeContinuation<Void, Never>?
    private var isReady = false

    var isWaiting: Bool { continuation != nil }

    mutating func wait(_ waiting: UnsafeContinuation<Void, Never>) {
        precondition(continuation == nil, "two tasks use one direction of a stream")
        if isReady {
            isReady = false
            waiting.resume()
        } else {
            continuation = waiting
        }
    }

    mutating func forget() { isReady = false }

    mutating func wake() {
        guard let waiting = continuation else {
            isReady = true
            return
        }
        continuation = nil
        waiting.resume()
    }
}
