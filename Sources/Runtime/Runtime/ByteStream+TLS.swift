import Base
import Glibc

extension ByteStream {
    /// Makes the handshake, as server or client after the context's role. What is in `inbound` is taken as its beginning.
    ///
    /// - Parameter serverName: for SNI and for the check of the server's name; a client's only.
    public func startTLS(_ context: TLSContext, serverName: String? = nil) async throws(StreamError) {
        loop.preconditionOnLoop()
        precondition(session == nil)
        let session = try TLSSession(context, serverName: serverName)
        inbound.withBytes { session.feed($0) }
        inbound.consume(inbound.count)
        self.session = session
        while true {
            try throwIfUnsendable()
            let isDone: Bool
            do {
                isDone = try session.handshake()
            } catch {
                // The alert that tells the peer why.
                try? await flushSessionFully()
                throw error
            }
            try await flushSessionFully()
            if isDone { return }
            if hasReceivedEnd { throw .tls("the peer closed the connection during the handshake") }
            try await receiveSealed(session)
        }
    }

    /// Waits until `inbound` has at least one more byte; false at the end of the stream.
    func receiveOpened(_ session: TLSSession) async throws(StreamError) -> Bool {
        var sealedRounds = 0
        while true {
            if let failure { throw failure }
            let count = try session.read(into: &inbound)
            flushSession()
            if count > 0 { return true }
            if session.isEnded || hasReceivedEnd { return false }
            // What the protocol itself is answered with; a sender has at most 64 KiB of its own waiting.
            if sealedOutput.count - sealedSent > 256 * 1024 {
                let error = StreamError.tls("the peer does not read what it makes this side answer")
                failure = error
                throw error
            }
            try await receiveSealed(session)
            // Records without content, key updates for one, come through here again and again.
            sealedRounds += 1
            if sealedRounds > 4 { await Task.yield() }
        }
    }

    /// One read of sealed bytes into the session; waits if there are none.
    private func receiveSealed(_ session: TLSSession) async throws(StreamError) {
        let count = withUnsafeTemporaryAllocation(byteCount: 16 * 1024 + 512, alignment: 16) { scratch in
            let count = recv(descriptor, scratch.baseAddress, scratch.count, 0)
            if count > 0 { session.feed(UnsafeRawBufferPointer(rebasing: scratch[..<count])) }
            return count
        }
        if count == 0 { hasReceivedEnd = true }
        if count < 0 { try await waitUntilReadable() }
    }

    /// Returns when the kernel has taken all bytes, sealed.
    func sendSealed(_ bytes: [UInt8], _ session: TLSSession) async throws(StreamError) {
        var offset = 0
        while offset < bytes.count {
            offset += try session.write(bytes, from: offset)
            try await flushSessionFully()
        }
    }

    /// Reads and sends the next part of a file; returns how long it was.
    func sendSealedFile(_ file: Int32, offset: Int64, atMost left: Int) async throws(StreamError) -> Int {
        let piece = [UInt8](unsafeUninitializedCapacity: min(left, 64 * 1024)) { buffer, initialized in
            initialized = max(0, pread(file, buffer.baseAddress, buffer.count, Int(offset)))
        }
        if piece.isEmpty { throw .failed(SystemError("pread", EIO)) }
        try await send(piece)
        return piece.count
    }

    /// Hands sealed output to the kernel as far as it takes it; the rest goes when the socket is writable.
    func flushSession() {
        // Whoever waited to flush may have been woken by the close.
        guard descriptor >= 0 else { return }
        session?.takeOutput(&sealedOutput)
        while sealedSent < sealedOutput.count {
            let count = sealedOutput.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress.map { $0 + sealedSent }, $0.count - sealedSent, noSignal)
            }
            if count <= 0 {
                if errno == EINTR { continue }
                if sendFailure == nil { sendFailure = errorUnlessBlocked("send") }
                return
            }
            sealedSent += count
        }
        sealedOutput.removeAll(keepingCapacity: sealedOutput.count <= 32 * 1024)
        sealedSent = 0
    }

    func flushSessionFully() async throws(StreamError) {
        flushSession()
        while !sealedOutput.isEmpty {
            try throwIfUnsendable()
            await withUnsafeContinuation { writer.wait($0) }
            try throwIfUnsendable()
            flushSession()
        }
        try throwIfUnsendable()
    }
}
