import Base
import Glibc

extension ByteStream {
    /// Sends what can go at once. Nobody may be sending meanwhile (precondition).
    ///
    /// - Returns: how many bytes need not be sent again: all from the offset on, unless the kernel has no room for more.
    public func trySend(_ bytes: [UInt8], from offset: Int = 0) throws(StreamError) -> Int {
        loop.preconditionOnLoop()
        precondition(!writer.isWaiting, "two tasks use one direction of a stream")
        try throwIfUnsendable()
        if let session { return try trySendSealed(bytes, from: offset, session) }
        while true {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + offset }, bytes.count - offset, noSignal)
            }
            if count >= 0 { return count }
            if errno == EINTR { continue }
            guard let error = errorUnlessBlocked("send") else { return 0 }
            sendFailure = error
            throw error
        }
    }

    /// Sends what can go at once of two pieces, as if they were one: a head and its body. As `trySend(_:from:)`.
    ///
    /// - Parameter isMoreToCome: lets the kernel wait for what is sent behind it, so that both share their packets.
    public func trySend(
        _ first: [UInt8], _ second: [UInt8], isMoreToCome: Bool = false
    ) throws(StreamError) -> Int {
        loop.preconditionOnLoop()
        precondition(!writer.isWaiting, "two tasks use one direction of a stream")
        try throwIfUnsendable()
        if let session { return try trySendSealed(first, second, session) }
        while true {
            let count = gather(first, second, noSignal | (isMoreToCome ? Int32(MSG_MORE) : 0))
            if count >= 0 { return count }
            if errno == EINTR { continue }
            guard let error = errorUnlessBlocked("sendmsg") else { return 0 }
            sendFailure = error
            throw error
        }
    }

    private func gather(_ first: [UInt8], _ second: [UInt8], _ flags: Int32) -> Int {
        first.withUnsafeBytes { first in
            second.withUnsafeBytes { second in
                var vectors = (
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count),
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
                )
                return withUnsafeMutableBytes(of: &vectors) { vectors in
                    var message = msghdr()
                    message.msg_iov = vectors.assumingMemoryBound(to: iovec.self).baseAddress
                    message.msg_iovlen = 2
                    return sendmsg(descriptor, &message, flags)
                }
            }
        }
    }

    private func trySendSealed(
        _ first: [UInt8], _ second: [UInt8], _ session: TLSSession
    ) throws(StreamError) -> Int {
        if !outbound.isEmpty { flushSealed() }
        guard outbound.isEmpty, sendFailure == nil else { return 0 }
        guard first.count + second.count <= TLSScratch.turnBytes else {
            let sent = try trySendSealed(first, from: 0, session)
            return sent < first.count ? sent : sent + (try trySendSealed(second, from: 0, session))
        }
        var sealed = 0
        while sealed < first.count { sealed += try session.seal(first, from: sealed) }
        sealed = 0
        while sealed < second.count { sealed += try session.seal(second, from: sealed) }
        flushSealed()
        try throwIfUnsendable()
        return first.count + second.count
    }

    /// Whether bytes that `trySend` took wait here until the kernel has room.
    public var hasUnsentBytes: Bool { !outbound.isEmpty }

    /// At most the last 64 KiB of what is taken stay here, sealed, until the kernel has room.
    private func trySendSealed(
        _ bytes: [UInt8], from offset: Int, _ session: TLSSession
    ) throws(StreamError) -> Int {
        if !outbound.isEmpty { flushSealed() }
        var end = offset
        while end < bytes.count, outbound.isEmpty, sendFailure == nil {
            end += try session.seal(bytes, from: end)
            flushSealed()
        }
        try throwIfUnsendable()
        return end - offset
    }

    /// Waits until `trySend` is worth another try.
    public func waitUntilSendable() async throws(StreamError) {
        loop.preconditionOnLoop()
        try throwIfUnsendable()
        await withUnsafeContinuation { writer.wait($0) }
        try throwIfUnsendable()
    }
}
