import Base
import RelayEngine
import Runtime
import STUN

/// A client's connection over TCP or TLS (RFC 8656 section 3.1): STUN messages and ChannelData out of a stream of bytes, and into it.
///
/// What is malformed ends it, since nobody knows where the next message would begin.
///
/// `@unchecked Sendable`: used on the loop's thread alone.
final class RelayStreamConnection: @unchecked Sendable {
    /// The largest that the format has: a STUN header and what its length can say.
    private static let maxMessageByteCount = 20 + 65_532

    let stream: ByteStream
    var tuple: FiveTuple
    private let relayLoop: RelayLoop
    private let limits: StreamLimits
    private var framer = STUNStreamFramer(maxMessageByteCount: RelayEngine.maxRequestByteCount)
    private var watch: ClientWatch?
    /// The client has bound this connection to one with a peer.
    private var pipe: DataPipe?
    /// Whether the stream is the client's data connection, with its answer behind it.
    private(set) var isCarrying = false
    /// Whether the client has authenticated.
    private(set) var isKnown = false

    init(_ stream: ByteStream, _ tuple: FiveTuple, on relayLoop: RelayLoop, limits: StreamLimits) {
        self.stream = stream
        self.tuple = tuple
        self.relayLoop = relayLoop
        self.limits = limits
    }

    /// Serves the client until either side has had enough.
    func run(_ tls: TLSContext?) async {
        let watch = ClientWatch(
            tuple, on: relayLoop, handshakePatience: tls == nil ? nil : .milliseconds(limits.handshakeTimeoutMs),
            patience: .milliseconds(limits.unauthenticatedTimeoutMs)
        ) { [stream] in stream.close(.timedOut) }
        self.watch = watch
        defer { watch.cancel() }
        do {
            if let tls {
                try await stream.startTLS(tls)
                relayLoop.isSecured(self)
                watch.handshakeIsComplete(tuple)
            }
            while pipe == nil, try await stream.receive() {
                if pipe == nil { try relayLoop.loop.gatherDatagrams { try handMessages(watch) } }
                if stream.isClosed { break }
            }
        } catch {
            relayLoop.streamFailed(self, error)
        }
        if let pipe {
            isCarrying = true
            await pipe.run()
        }
    }

    /// Hands over every message that is here whole.
    private func handMessages(_ watch: ClientWatch) throws {
        while let frame = try handMessage() {
            stream.inbound.consume(frame)
            if watch.heard() {
                becomeKnown()
                framer = STUNStreamFramer(maxMessageByteCount: Self.maxMessageByteCount)
            }
            if stream.isClosed || pipe != nil { return }
        }
    }

    private func becomeKnown() {
        guard !isKnown else { return }
        isKnown = true
        relayLoop.streamIsKnown(self)
    }

    /// From the next byte on the stream is the client's data connection (RFC 6062 section 5.4). The answer that says so still leaves.
    func carries(_ pipe: DataPipe) {
        self.pipe = pipe
        // The request may have been answered while nobody reads.
        stream.interruptReceive()
        watch?.cancel()
        becomeKnown()
    }

    /// - Returns: how many bytes the message has in the stream; nil when it is not whole yet.
    private func handMessage() throws -> Int? {
        try stream.inbound.withBytes { bytes in
            guard let frame = try framer.next(bytes.bytes) else { return nil }
            // The stream's own memory, which nobody else looks at before it is consumed.
            relayLoop.receive(
                UnsafeMutableRawBufferPointer(
                    mutating: UnsafeRawBufferPointer(rebasing: bytes[..<frame.messageByteCount])), from: tuple)
            return frame.byteCount
        }
    }

    /// Sends a whole message, or none of it.
    ///
    /// - Returns: false when the client does not read what it is sent, or is gone.
    func send(_ message: UnsafeRawBufferPointer) -> Bool {
        // Between the peer's bytes there is no place for a message.
        guard !isCarrying else { return true }
        return stream.post(message, maxUnsentBytes: limits.queueBytes)
    }
}
