import Base
import Runtime
import WorkerProtocol

/// One job with one worker, from its start to its end. Lives on one event loop.
///
/// `@unchecked Sendable`: all state is used on `loop`'s thread alone; the stream and the loop check it.
final class WorkerConversation: @unchecked Sendable {
    private let loop: EventLoop
    private let process: WorkerProcess
    private let stream: ByteStream
    private var isOver = false
    private var failure: (any Error)?

    /// Called on the loop. The process is killed and reaped by `finish`, which must be called once.
    init(_ process: WorkerProcess, on loop: EventLoop) throws {
        self.loop = loop
        self.process = process
        stream = try ByteStream(adopting: process.socket, on: loop)
    }

    /// Gives the job, and serves the worker until it answers.
    ///
    /// - Throws: the worker's failure, what reading the input threw, or `WorkerGone` when it went without an answer.
    func run(_ job: WorkerJob, input: WorkerInput, timeout: Duration) async throws -> Thumbnail {
        let deadline = loop.schedule(after: timeout) { self.abort(MediaWorkerError.timedOut) }
        defer { loop.cancel(deadline) }
        return try await withTaskCancellationHandler {
            do {
                return try await converse(job, input)
            } catch {
                throw failure ?? error
            }
        } onCancel: {
            loop.execute { self.abort(CancellationError()) }
        }
    }

    /// Ends the worker, whatever it does.
    func finish(reapingOn pool: BlockingPool) async -> WorkerProcess.Exit {
        loop.preconditionOnLoop()
        isOver = true
        stream.close()
        process.kill()
        let process = process
        return (try? await pool.run { process.reap() }) ?? process.reap()
    }

    /// Kills the worker under the conversation, which then throws the reason.
    private func abort(_ reason: any Error) {
        guard !isOver, failure == nil else { return }
        failure = reason
        process.kill()
        stream.close()
    }

    private func converse(_ job: WorkerJob, _ input: WorkerInput) async throws -> Thumbnail {
        try await sendToWorker(.job(job))
        var servedBytes: UInt64 = 0
        while true {
            switch try await nextMessage(maxBodyBytes: Int(job.limits.maxOutputBytes) + 8) {
            case .read(let offset, let count):
                guard offset < job.inputBytes else { throw MediaWorkerError.misbehaved }
                let count = min(UInt64(count), job.inputBytes - offset)
                servedBytes += count
                guard servedBytes <= job.limits.maxInputBytes else { throw MediaWorkerError.limitExceeded }
                try await serve(Int64(offset), Int(count), of: input)
            case .image(let width, let height, let bytes):
                return Thumbnail(webp: bytes, width: Int(width), height: Int(height))
            case .failed(let failure):
                throw MediaWorkerError(failure) ?? .misbehaved
            }
        }
    }

    private func serve(_ offset: Int64, _ count: Int, of input: WorkerInput) async throws {
        let bytes = try await input.read(offset, count)
        guard bytes.count == count else {
            throw EdgeError(.corrupt, "the stored object is shorter than its size", side: .internal)
        }
        try await sendToWorker(.data(bytes))
    }

    private func sendToWorker(_ message: EdgeMessage) async throws {
        do {
            try await stream.send(message.frame)
        } catch {
            throw failure ?? WorkerGone()
        }
    }

    private func nextMessage(maxBodyBytes: Int) async throws -> WorkerMessage {
        while true {
            do {
                let parsed = try stream.inbound.withBytes { bytes in
                    try WorkerMessage.parse(RawSpan(_unsafeBytes: bytes), maxBodyBytes: maxBodyBytes)
                }
                if let (message, count) = parsed {
                    stream.inbound.consume(count)
                    return message
                }
            } catch {
                throw MediaWorkerError.misbehaved
            }
            guard (try? await stream.receive()) == true else { throw failure ?? WorkerGone() }
        }
    }
}

/// The worker ended without an answer; its exit says why.
struct WorkerGone: Error {}
