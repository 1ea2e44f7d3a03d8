import Base
import Runtime
import Synchronization

/// The rest of a file as a request's body, read off the loop, telling how far it is.
final class UploadBody: Sendable {
    private struct State {
        var position: Int64
        var wasStopped = false
    }

    private let file: File
    private let end: Int64
    private let pieceBytes: Int
    private let pool: BlockingPool
    private let progress: TransferProgress
    private let state: Mutex<State>

    init(
        _ file: File, from start: Int64, to end: Int64, pieceBytes: Int, _ pool: BlockingPool,
        _ progress: @escaping TransferProgress
    ) {
        self.file = file
        self.end = end
        self.pieceBytes = pieceBytes
        self.pool = pool
        self.progress = progress
        state = Mutex(State(position: start))
    }

    /// Whether the progress callback threw: the client may wrap what the body throws.
    var wasStopped: Bool { state.withLock { $0.wasStopped } }

    /// The next piece; nil at the end. Asking for it says that the one before is on its way.
    func next() async throws -> [UInt8]? {
        let position = state.withLock { $0.position }
        do {
            try progress(position, end)
        } catch {
            state.withLock { $0.wasStopped = true }
            throw TransferStopped()
        }
        let count = Int(min(Int64(pieceBytes), end - position))
        guard count > 0 else { return nil }
        let piece = try await pool.run { [file] in try file.read(at: position, count: count) }
        guard piece.count == count else { throw EdgeError(.corrupt, "the file became shorter", side: .internal) }
        state.withLock { $0.position += Int64(count) }
        return piece
    }
}
