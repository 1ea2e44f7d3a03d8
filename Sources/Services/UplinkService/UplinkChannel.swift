import Base
import Runtime
import Synchronization
import Wire

/// Frames of the uplink over one stream: a bounded queue out, whole frames in, and the watch for a peer that has gone silent.
final class UplinkChannel: Sendable {
    private struct Output {
        var frames: [[UInt8]] = []
        var queuedBytes = 0
        var isClosed = false
        var writer: UnsafeContinuation<Void, Never>?
    }

    /// Frames that wait are joined up to this size for one call of the kernel.
    private static let batchBytes = 64 * 1024

    private let stream: ByteStream
    private let maxQueuedBytes: Int
    private let deadAfter: Duration
    private let output = Mutex(Output())
    /// Monotonic nanoseconds.
    private let lastReceived: Atomic<UInt64>

    /// - Parameters:
    ///   - maxQueuedBytes: when the peer lets more wait, the channel closes.
    ///   - deadAfter: when the peer sends nothing for so long, the channel closes.
    init(_ stream: ByteStream, maxQueuedBytes: Int, deadAfter: Duration) {
        self.stream = stream
        self.maxQueuedBytes = maxQueuedBytes
        self.deadAfter = deadAfter
        lastReceived = Atomic(MonotonicClock.now().nanoseconds)
    }

    var loop: EventLoop { stream.loop }

    // MARK: Any thread

    var isClosed: Bool { output.withLock { $0.isClosed } }

    /// Queues a frame without waiting.
    ///
    /// - Returns: false when the channel is closed, or is closed now because too much waits.
    /// - Throws: `WireError.tooLarge`; the channel stays.
    func send(_ frame: UplinkFrame) throws(WireError) -> Bool {
        let bytes = try frame.encoded()
        let (isQueued, isFull, writer) = output.withLock { output -> (Bool, Bool, UnsafeContinuation<Void, Never>?) in
            guard !output.isClosed else { return (false, false, nil) }
            guard output.queuedBytes + bytes.count <= maxQueuedBytes else { return (false, true, nil) }
            output.frames.append(bytes)
            output.queuedBytes += bytes.count
            defer { output.writer = nil }
            return (true, false, output.writer)
        }
        writer?.resume()
        if isFull { close() }
        return isQueued
    }

    /// Ends the connection; what is queued is dropped.
    func close() {
        let writer = output.withLock { output in
            output.isClosed = true
            output.frames = []
            output.queuedBytes = 0
            defer { output.writer = nil }
            return output.writer
        }
        writer?.resume()
        if loop.isCurrent {
            stream.close()
        } else {
            loop.execute { self.stream.close() }
        }
    }

    // MARK: On the loop

    /// Sends past the queue, before `write` runs.
    func sendFirst(_ frame: UplinkFrame) async throws {
        try await stream.send(frame.encoded())
    }

    /// Tells the peer that nothing more comes.
    func finish() async { await stream.finish() }

    /// Sends what is queued until the channel is closed.
    func write() async {
        while let batch = await nextBatch() {
            do {
                try await stream.send(batch)
            } catch {
                close()
            }
        }
    }

    private func nextBatch() async -> [UInt8]? {
        while true {
            let (isClosed, batch) = output.withLock { output -> (Bool, [UInt8]) in
                if output.isClosed { return (true, []) }
                var count = 0
                var bytes = 0
                while count < output.frames.count, count == 0 || bytes + output.frames[count].count <= Self.batchBytes {
                    bytes += output.frames[count].count
                    count += 1
                }
                let batch = count == 1 ? output.frames[0] : Array(output.frames[..<count].joined())
                output.frames.removeFirst(count)
                output.queuedBytes -= bytes
                return (false, batch)
            }
            if isClosed { return nil }
            if !batch.isEmpty { return batch }
            await withUnsafeContinuation { continuation in
                let goesOn = output.withLock { output in
                    if output.isClosed || !output.frames.isEmpty { return true }
                    output.writer = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        }
    }

    /// The next frame; nil at the end of the stream.
    ///
    /// - Throws: `StreamError`, `WireError` for a head that is none.
    func receive() async throws -> (head: UplinkFrame.Head, body: [UInt8])? {
        guard try await fill(UplinkFrame.Head.byteCount) else { return nil }
        let head = try UplinkFrame.Head(stream.inbound.withBytes { [UInt8]($0.prefix(UplinkFrame.Head.byteCount)) })
        guard try await fill(UplinkFrame.Head.byteCount + head.bodyBytes) else { return nil }
        stream.inbound.consume(UplinkFrame.Head.byteCount)
        return (head, stream.inbound.take(head.bodyBytes))
    }

    private func fill(_ count: Int) async throws -> Bool {
        while stream.inbound.count < count {
            guard try await stream.receive() else { return false }
            lastReceived.store(loop.now.nanoseconds, ordering: .relaxed)
        }
        return true
    }

    /// Closes the channel when the peer has sent nothing for too long.
    func watch() {
        loop.preconditionOnLoop()
        guard !isClosed else { return }
        let silence = loop.now - MonotonicInstant(nanoseconds: lastReceived.load(ordering: .relaxed))
        guard silence < deadAfter else { return close() }
        loop.schedule(after: max(deadAfter - silence, .milliseconds(10))) { [weak self] in self?.watch() }
    }
}
