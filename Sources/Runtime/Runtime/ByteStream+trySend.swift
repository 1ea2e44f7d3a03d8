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

    /// At most the last 64 KiB of what is taken stay here, sealed, until the kernel has room.
    private func trySendSealed(
        _ bytes: [UInt8], from offset: Int, _ session: TLSSession
    ) throws(StreamError) -> Int {
        if !sealedOutput.isEmpty { flushSealed() }
        var end = offset
        while end < bytes.count, sealedOutput.isEmpty, sendFailure == nil {
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
