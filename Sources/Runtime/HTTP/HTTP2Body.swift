import Base
import HTTPCodec
import Runtime

/// A body that comes in DATA frames. What was read is given back to the peer as credit; a peer without credit sends nothing, so
/// that what waits here is bounded by the windows.
///
/// `@unchecked Sendable`: as `HTTPBody`.
final class HTTP2Body: HTTPBody, @unchecked Sendable {
    private let connection: HTTP2Connection
    private let id: Int32
    private var waiting: [UInt8] = []
    private var offset = 0
    private var taken = 0
    private var hasArrivedWhole: Bool
    private var isUnwanted = false
    private var failure: (any Error)?
    private var waited = Duration.zero
    private var reader: UnsafeContinuation<Void, Never>?
    /// When the read that waits becomes too late.
    private(set) var deadline: MonotonicInstant?
    /// The client sends the body when it is told to (RFC 9110 section 10.1.1).
    var awaitsContinue: Bool

    init(on connection: HTTP2Connection, id: Int32, length: Int?, hasEnded: Bool, awaitsContinue: Bool) {
        self.connection = connection
        self.id = id
        hasArrivedWhole = hasEnded
        self.awaitsContinue = awaitsContinue && !hasEnded
        super.init(length: hasEnded ? 0 : length, side: .peer, maxBytes: connection.configuration.maxBodyBytes)
    }

    override var hasEnded: Bool { hasArrivedWhole && offset == waiting.count && failure == nil }

    /// Whether the peer may still send.
    var isOpen: Bool { !hasArrivedWhole && failure == nil }

    override var isBroken: Bool { failure != nil }

    override var remaining: Int? { hasEnded ? 0 : length.map { $0 - taken } }

    // MARK: What the handler does

    override func next(_ minimum: Int, _ maximum: Int) async throws -> [UInt8]? {
        var output: [UInt8] = []
        while true {
            take(upTo: maximum, into: &output)
            if output.count >= minimum || hasArrivedWhole { break }
            if let failure {
                if output.isEmpty { throw failure }
                break
            }
            await arrival()
        }
        return output.isEmpty ? nil : output
    }

    /// Moves bytes out and gives the peer credit for them.
    private func take(upTo maximum: Int, into output: inout [UInt8]) {
        let count = min(waiting.count - offset, maximum - output.count)
        guard count > 0 else { return }
        if output.isEmpty, offset == 0, count == waiting.count {
            swap(&output, &waiting)
        } else {
            output.append(contentsOf: waiting[offset..<offset + count])
            offset += count
            if offset == waiting.count {
                waiting = []
                offset = 0
            }
        }
        taken += count
        connection.consume(count, of: id)
    }

    private func arrival() async {
        if awaitsContinue {
            awaitsContinue = false
            connection.sendContinue(for: id)
        }
        let began = connection.loop.now
        deadline = connection.deadline(after: patience())
        await withUnsafeContinuation { reader = $0 }
        deadline = nil
        waited += connection.loop.now - began
    }

    /// How many milliseconds more may be waited, so that a body that trickles does not hold its stream for days.
    private func patience() -> Int {
        let configuration = connection.configuration
        guard configuration.minBodyBytesPerSecond > 0 else { return configuration.bodyTimeoutMs }
        let atLowestRate =
            taken.multipliedReportingOverflow(by: 1000).partialValue / configuration.minBodyBytesPerSecond
        let left = .milliseconds(configuration.bodyTimeoutMs + atLowestRate) - waited
        return max(0, min(configuration.bodyTimeoutMs, Int(left / .milliseconds(1))))
    }

    // MARK: What the connection tells

    func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        if isUnwanted { return connection.consume(bytes.count, of: id) }
        if offset > 0, offset >= waiting.count / 2 {
            // Whoever reads slower than the bytes come must not keep those that were read.
            waiting.removeFirst(offset)
            offset = 0
        }
        waiting.append(contentsOf: bytes)
        wake()
    }

    func end(trailers: HTTPFields = [:]) {
        self.trailers = trailers
        hasArrivedWhole = true
        wake()
    }

    /// The rest will not come. What has come can still be read.
    func fail(_ error: any Error) {
        guard !hasArrivedWhole, failure == nil else { return }
        failure = error
        wake()
    }

    /// Nobody reads any more: what waits and what comes is dropped, but the connection gets its credit back.
    func discard() {
        isUnwanted = true
        let count = waiting.count - offset
        waiting = []
        offset = 0
        if count > 0 { connection.consume(count, of: id) }
    }

    private func wake() {
        reader?.resume()
        reader = nil
    }
}
