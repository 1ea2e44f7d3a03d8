import Base
import COpenSSL
import CShims
import Glibc

/// The name that the client of a connection asks for.
func serverName(askedOn connection: OpaquePointer) -> String? {
    SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) }
}

extension ByteStream {
    /// The name that the client has asked for (SNI, RFC 6066), after the handshake; nil without TLS or without a name.
    public var requestedServerName: String? { session?.requestedServerName }

    /// Makes the handshake, as server or client after the context's role. What is in `inbound` is taken as its beginning.
    /// The peer's first bytes may stand in `inbound` afterwards; `receive` tells of them, too.
    ///
    /// - Parameter serverName: for SNI and for the check of the server's name; a client's only.
    public func startTLS(_ context: TLSContext, serverName: String? = nil) async throws(StreamError) {
        loop.preconditionOnLoop()
        precondition(session == nil && inbound.count <= TLSScratch.turnBytes)
        let scratch = loop.tlsScratch
        let session = try TLSSession(context, serverName: serverName, scratch: scratch)
        self.session = session
        while true {
            try throwIfUnsendable()
            let isDone: Bool
            do {
                session.feed(UnsafeRawBufferPointer(rebasing: scratch.bytes[..<takeInbound(into: scratch.bytes)]))
                isDone = try session.handshake()
                if isDone { hasUnseenInbound = try session.open(into: &inbound) > 0 }
            } catch {
                // The alert that tells the peer why.
                try? await flushSealedFully()
                throw error
            }
            try await flushSealedFully()
            if isDone { return }
            while inbound.isEmpty {
                if hasReceivedEnd { throw .tls("the peer closed the connection during the handshake") }
                let count = inbound.append(capacity: 4096) { receive(into: $0) }
                if count == 0 { hasReceivedEnd = true }
                if count < 0 { try await waitUntilReadable() }
            }
        }
    }

    private func takeInbound(into scratch: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(inbound.count, scratch.count)
        inbound.withBytes { scratch.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        inbound.consume(count)
        return count
    }

    /// Waits until `inbound` has at least one more byte; false at the end of the stream.
    func receiveOpened(_ session: TLSSession) async throws(StreamError) -> Bool {
        if hasUnseenInbound {
            hasUnseenInbound = false
            if !inbound.isEmpty { return true }
        }
        var sealedRounds = 0
        while true {
            if let failure = failure ?? session.failure { throw failure }
            if takeInterruption() { return true }
            if session.isEnded || hasReceivedEnd { return false }
            // What the protocol itself is answered with, besides what a sender may have waiting, which records make larger.
            if outbound.count - outboundSent > 256 * 1024 + maxPostedBytes * 2 {
                let error = StreamError.tls("the peer does not read what it makes this side answer")
                failure = error
                throw error
            }
            let scratch = loop.tlsScratch.bytes
            let count = receive(into: scratch)
            if count < 0 {
                try await waitUntilReadable()
            } else if count == 0 {
                hasReceivedEnd = true
            } else {
                session.feed(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
                defer { flushSealed() }
                if try session.open(into: &inbound) > 0 { return true }
                // Records without content, key updates for one, come through here again and again.
                sealedRounds += 1
            }
            if sealedRounds > 4 { await Task.yield() }
        }
    }

    /// Returns when the kernel has taken all bytes, sealed.
    func sendSealed(_ bytes: [UInt8], _ session: TLSSession) async throws(StreamError) {
        var offset = 0
        while offset < bytes.count {
            offset += try session.seal(bytes, from: offset)
            try await flushSealedFully()
            if offset < bytes.count { await giveOthersTheirTurn() }
        }
    }

    /// Small pieces share a record, as far as they stand beside each other; a large one is sealed where it lies.
    func sendSealed(pieces: [[UInt8]], _ session: TLSSession) async throws(StreamError) {
        let smallBytes = 2048
        var index = 0
        while index < pieces.count {
            // All that fits into a turn leaves together.
            var turnBytes = 0
            repeat {
                if pieces[index].count > smallBytes {
                    guard turnBytes + pieces[index].count <= TLSScratch.turnBytes else { break }
                    turnBytes += try session.seal(pieces[index], from: 0)
                    index += 1
                } else {
                    let gathered = gather(pieces, from: &index, upTo: smallBytes)
                    if gathered.count > 0 { turnBytes += try session.seal(gathered) }
                }
            } while index < pieces.count
            if turnBytes == 0, index < pieces.count {
                try await sendSealed(pieces[index], session)
                index += 1
            } else {
                try await flushSealedFully()
            }
        }
    }

    private func gather(
        _ pieces: [[UInt8]], from index: inout Int, upTo smallBytes: Int
    ) -> UnsafeRawBufferPointer {
        let scratch = loop.tlsScratch.bytes
        var count = 0
        while index < pieces.count, pieces[index].count <= smallBytes {
            pieces[index].withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: scratch[count...]).copyMemory(from: $0)
            }
            count += pieces[index].count
            index += 1
        }
        return UnsafeRawBufferPointer(rebasing: scratch[..<count])
    }

    /// Reads and sends the next part of a file; returns how long it was.
    func sendSealedFile(_ file: Int32, offset: Int64, atMost left: Int) async throws(StreamError) -> Int {
        guard let session else { preconditionFailure("no TLS on this stream") }
        let scratch = loop.tlsScratch.bytes
        let piece = min(left, scratch.count)
        var count = skerry_read_resident(file, scratch.baseAddress, piece, offset)
        if count < 0 {
            if count == -Int(EAGAIN) {
                try await makeResident(file, offset: offset, count: min(left, Self.fileBytes))
                try throwIfUnsendable()
            }
            count = pread(file, scratch.baseAddress, piece, Int(offset))
        }
        guard count > 0 else { throw .failed(SystemError("pread", count < 0 ? errno : EIO)) }
        var sealed = 0
        while sealed < count { sealed += try session.seal(UnsafeRawBufferPointer(rebasing: scratch[sealed..<count])) }
        try await flushSealedFully()
        await giveOthersTheirTurn()
        return count
    }

    /// Hands the sealed bytes of this turn to the kernel as far as it takes them; the rest goes when the socket is writable.
    func flushSealed() {
        let sealed = loop.tlsScratch.sealed
        defer { skerry_tls_scratch_trim(sealed) }
        // Whoever waited to flush may have been woken by the close.
        guard descriptor >= 0 else { return }
        let fresh = UnsafeRawBufferPointer(start: sealed.pointee.output, count: sealed.pointee.output_count)
        if outbound.isEmpty {
            let sent = sendSome(fresh)
            if sent < fresh.count { outbound = Array(fresh[sent...]) }
            return
        }
        appendOutbound(fresh)
        flushOutbound()
    }

    func appendOutbound(_ bytes: UnsafeRawBufferPointer) {
        // A peer that reads a little at a time must not make this grow by what it has read.
        if outboundSent >= TLSScratch.turnBytes {
            outbound.removeFirst(outboundSent)
            outboundSent = 0
        }
        outbound.append(contentsOf: bytes)
    }

    /// Hands what waits to the kernel as far as it takes it.
    func flushOutbound() {
        guard descriptor >= 0 else { return }
        outboundSent += outbound.withUnsafeBytes { sendSome(UnsafeRawBufferPointer(rebasing: $0[outboundSent...])) }
        if outboundSent == outbound.count {
            outbound = []
            outboundSent = 0
        }
    }

    private func sendSome(_ bytes: UnsafeRawBufferPointer) -> Int {
        var sent = 0
        while sent < bytes.count, sendFailure == nil {
            let count = Glibc.send(descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, noSignal)
            if count > 0 {
                sent += count
            } else if errno != EINTR {
                sendFailure = errorUnlessBlocked("send")
                break
            }
        }
        return sent
    }

    func flushSealedFully() async throws(StreamError) {
        flushSealed()
        while !outbound.isEmpty {
            try throwIfUnsendable()
            await withUnsafeContinuation { writer.wait($0) }
            try throwIfUnsendable()
            flushSealed()
        }
        try throwIfUnsendable()
    }
}
