import Base
import HTTPCodec
import Runtime

/// What a body on a connection of HTTP/1 may take.
struct HTTP1BodyLimits {
    /// How long no byte of it may come while one is waited for; all waits together may take so much longer than the bytes
    /// at the lowest rate.
    var silence: Duration
    /// 0 for any rate.
    var minBytesPerSecond: Int
    var maxBytes: Int
    var chunks: HTTPChunkLimits
}

/// A body that is the next bytes on its connection: what is not read stays in the kernel.
///
/// `@unchecked Sendable`: as `HTTPBody`.
final class HTTP1Body: HTTPBody, @unchecked Sendable {
    private enum State {
        case counted(remaining: Int)
        case chunked(ChunkedDecoder)
        case untilClose
        case ended
        case failed(any Error)
    }

    private let stream: ByteStream
    private let deadline: StreamDeadline
    private let limits: HTTP1BodyLimits
    private var state: State
    /// Of the connection, framing included.
    private var takenBytes = 0
    private var waited = Duration.zero
    /// Run once before the first byte is waited for.
    var beforeFirstWait: (() async throws -> Void)?
    /// Run once when the last byte has been taken.
    var onEnd: (() -> Void)?

    init(
        _ framing: HTTPBodyFraming, of stream: ByteStream, deadline: StreamDeadline, limits: HTTP1BodyLimits,
        side: EdgeError.Side
    ) {
        self.stream = stream
        self.deadline = deadline
        self.limits = limits
        switch framing {
        case .length(let count):
            state = count == 0 ? .ended : .counted(remaining: count)
            super.init(length: count, side: side, maxBytes: limits.maxBytes)
        case .chunked:
            state = .chunked(ChunkedDecoder(limits: limits.chunks))
            super.init(length: nil, side: side, maxBytes: limits.maxBytes)
        case .untilClose:
            state = .untilClose
            super.init(length: nil, side: side, maxBytes: limits.maxBytes)
        }
    }

    override var hasEnded: Bool {
        if case .ended = state { return true }
        return false
    }

    override var isBroken: Bool {
        if case .failed = state { return true }
        return false
    }

    override var remaining: Int? {
        switch state {
        case .counted(let remaining): remaining
        case .ended: 0
        default: nil
        }
    }

    override func next(_ minimum: Int, _ maximum: Int) async throws -> [UInt8]? {
        switch state {
        case .ended: return nil
        case .failed(let error): throw error
        case .counted(let remaining): return try await readCounted(remaining, minimum, maximum)
        case .chunked(let decoder): return try await readChunked(decoder, minimum, maximum)
        case .untilClose: return try await readUntilClose(minimum, maximum)
        }
    }

    private func readCounted(_ remaining: Int, _ minimum: Int, _ maximum: Int) async throws -> [UInt8]? {
        let wanted = min(minimum, remaining)
        if stream.inbound.count < wanted {
            // Larger reads for larger bodies: fewer calls, and whole pieces for whoever asked for them.
            stream.receiveBytes = min(max(wanted, 64 * 1024), 256 * 1024)
            defer { stream.receiveBytes = 16 * 1024 }
            try await wait(until: wanted)
        }
        let count = min(stream.inbound.count, remaining, maximum)
        if count == 0 { throw failure() }
        let bytes = stream.inbound.take(count)
        takenBytes += count
        if case .failed = state { return bytes }
        if count == remaining { end() } else { state = .counted(remaining: remaining - count) }
        return bytes
    }

    private func readChunked(
        _ initial: consuming ChunkedDecoder, _ minimum: Int, _ maximum: Int
    ) async throws -> [UInt8]? {
        var decoder = initial
        var output: [UInt8] = []
        while true {
            var offset = 0
            var isAtEnd = false
            do {
                try stream.inbound.withBytes { bytes throws(HTTPParsingError) in
                    steps: while output.count < maximum {
                        switch try decoder.next(in: bytes, from: &offset) {
                        case .data(let range): output.append(contentsOf: bytes[range])
                        case .needsMore: break steps
                        case .end:
                            isAtEnd = true
                            break steps
                        }
                    }
                }
            } catch {
                state = .failed(error)
                throw error
            }
            stream.inbound.consume(offset)
            takenBytes += offset
            if isAtEnd {
                trailers = decoder.trailers
                end()
                return output.isEmpty ? nil : output
            }
            state = .chunked(decoder)
            if output.count >= minimum { return output }
            try await wait(until: stream.inbound.count + 1)
            if case .failed(let error) = state {
                if output.isEmpty { throw error }
                return output
            }
        }
    }

    private func readUntilClose(_ minimum: Int, _ maximum: Int) async throws -> [UInt8]? {
        do {
            try await arrival(of: minimum)
        } catch let error as StreamError {
            state = .failed(EdgeError(error, side: side, while: "reading a body"))
        }
        let count = min(stream.inbound.count, maximum)
        if count > 0 {
            takenBytes += count
            return stream.inbound.take(count)
        }
        if case .failed(let error) = state { throw error }
        end()
        return nil
    }

    /// Waits until that much is buffered; when it can no longer come, the state becomes failed.
    private func wait(until count: Int) async throws {
        do {
            if try await arrival(of: count) { return }
            state = .failed(EdgeError(.closed, "the body was cut short", side: side, isRetryable: true))
        } catch let error as StreamError {
            state = .failed(EdgeError(error, side: side, while: "reading a body"))
        }
    }

    /// - Returns: false at the end of the stream.
    @discardableResult
    private func arrival(of count: Int) async throws -> Bool {
        if let prepare = beforeFirstWait {
            beforeFirstWait = nil
            try await prepare()
        }
        let before = waited
        let began = stream.loop.now
        defer {
            waited = before + (stream.loop.now - began)
            deadline.lift()
        }
        while stream.inbound.count < count {
            deadline.set(min(limits.silence, patience(before + (stream.loop.now - began))))
            guard try await stream.receive() else { return false }
        }
        return true
    }

    /// How much longer may be waited, so that a body that trickles does not hold its connection for days.
    private func patience(_ waited: Duration) -> Duration {
        guard limits.minBytesPerSecond > 0 else { return limits.silence }
        let bytes = takenBytes + stream.inbound.count
        return max(.zero, limits.silence + .milliseconds(bytes * 1000 / limits.minBytesPerSecond) - waited)
    }

    private func failure() -> any Error {
        if case .failed(let error) = state { return error }
        return EdgeError(.closed, "the body was cut short", side: side, isRetryable: true)
    }

    private func end() {
        state = .ended
        onEnd?()
        onEnd = nil
    }
}

/// The body of a request that has none; one for all of them on a loop.
///
/// `@unchecked Sendable`: as `HTTPBody`.
final class NoBody: HTTPBody, @unchecked Sendable {
    init() { super.init(length: 0, side: .peer) }

    override var hasEnded: Bool { true }
    override var remaining: Int? { 0 }

    override func next(_ minimum: Int, _ maximum: Int) async throws -> [UInt8]? { nil }
}
