import CShims

extension ByteStream {
    /// What waits for the end of the iteration at most.
    private static let postedBytes = 64 * 1024

    /// Sends bytes without waiting, or none of them: what is posted in one iteration of the loop leaves together at its end, and what the
    /// kernel has no room for when it has. Under TLS the bytes are a record of their own, as far as they fit into one. Nobody
    /// may be sending otherwise (precondition).
    ///
    /// - Parameter maxUnsentBytes: of those that wait for the kernel, the new ones included. A stream on which nothing waits takes
    ///   any.
    /// - Returns: false when they would be too many, or the connection is lost.
    @discardableResult
    public func post(_ bytes: UnsafeRawBufferPointer, maxUnsentBytes: Int) -> Bool {
        loop.preconditionOnLoop()
        precondition(!writer.isWaiting, "two tasks use one direction of a stream")
        maxPostedBytes = max(maxPostedBytes, maxUnsentBytes)
        guard failure == nil, sendFailure == nil else { return false }
        let unsent = unsentByteCount
        if unsent > 0, unsent + bytes.count > min(maxUnsentBytes, Self.postedBytes) {
            flushOutbound()
            let unsent = unsentByteCount
            guard sendFailure == nil, unsent == 0 || unsent + bytes.count <= maxUnsentBytes else { return false }
        }
        if let session {
            guard seal(bytes, session) else { return false }
        } else {
            appendOutbound(bytes)
        }
        if !isToBeFlushed {
            isToBeFlushed = true
            loop.streamsToFlush.append(self)
        }
        return true
    }

    /// Returns when the kernel has taken what was posted. To be waited for between `post` and `send`.
    public func flushPosted() async throws(StreamError) {
        loop.preconditionOnLoop()
        while true {
            try throwIfUnsendable()
            flushOutbound()
            if outbound.isEmpty { return }
            await withUnsafeContinuation { writer.wait($0) }
        }
    }

    private var unsentByteCount: Int { outbound.count - outboundSent }

    /// Puts the records behind those that wait.
    private func seal(_ bytes: UnsafeRawBufferPointer, _ session: TLSSession) -> Bool {
        let sealed = loop.tlsScratch.sealed
        defer { skerry_tls_scratch_trim(sealed) }
        var count = 0
        while count < bytes.count {
            guard let some = try? session.seal(UnsafeRawBufferPointer(rebasing: bytes[count...])) else { return false }
            count += some
        }
        appendOutbound(UnsafeRawBufferPointer(start: sealed.pointee.output, count: sealed.pointee.output_count))
        return true
    }
}

extension EventLoop {
    /// Hands over what was posted in this iteration.
    func flushStreams() {
        for stream in streamsToFlush {
            stream.isToBeFlushed = false
            if !stream.isClosed, !stream.outbound.isEmpty, !stream.writer.isWaiting { stream.flushOutbound() }
        }
        streamsToFlush.removeAll(keepingCapacity: true)
    }
}
