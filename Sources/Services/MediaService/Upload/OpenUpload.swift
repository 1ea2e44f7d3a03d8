import Base
import MediaEngine
import Synchronization

/// An upload in memory: what requests and the finish share.
///
/// Whoever opens it last holds the lease. Bytes that an older request had delivered are kept: the next one makes them
/// durable first. Disk work goes through the gate, one step at a time.
final class OpenUpload: Sendable {
    typealias Lease = UploadStateMachine.Lease

    private struct State {
        var machine: UploadStateMachine
        /// Taken from the network, not yet handed to the writer.
        var pending: [UInt8] = []
        var bytesSinceCheckpoint = 0
        /// After a disk error nothing in memory can be trusted: the index has the truth.
        var isBroken = false
    }

    let record: UploadRecord
    private let state: Mutex<State>
    private let gate = AsyncGate()
    private let registration = AsyncGate()
    /// Nil once every byte is there and verified.
    private let writer: UploadWriter?
    private let index: StoreIndex
    private let disk: Disk
    private let folder: StoreFolder
    private let metrics: MediaMetrics
    private let configuration: MediaService.Configuration
    private let now: @Sendable () -> WallTime

    init(
        record: UploadRecord, writer: UploadWriter?, store: Store,
        configuration: MediaService.Configuration, now: @escaping @Sendable () -> WallTime
    ) {
        self.record = record
        self.writer = writer
        index = store.index
        disk = store.disk
        folder = store.folder
        metrics = store.metrics
        self.configuration = configuration
        self.now = now
        state = Mutex(State(machine: record.machine))
    }

    var phase: UploadStateMachine.Phase { state.withLock { $0.machine.phase } }
    var durableOffset: Int64 { state.withLock { $0.machine.durableOffset } }
    var isBroken: Bool { state.withLock { $0.isBroken } }

    /// Takes the upload over from whatever request has it, and makes durable what that one delivered.
    func open() async throws -> Lease {
        let (lease, isSettled) = state.withLock { state in
            (state.machine.open(), state.machine.receivedOffset == state.machine.durableOffset && state.pending.isEmpty)
        }
        if !isSettled { try await checkpoint() }
        return lease
    }

    /// Ends whatever request has it without taking it over.
    func end(_ end: UploadStateMachine.End) async -> UploadStateMachine.FinishAction {
        await gate.run { state.withLock { $0.machine.end(end) } }
    }

    func startAppend(_ lease: Lease, at offset: Int64, contentLength: Int64?) async throws
        -> UploadStateMachine.AppendStart
    {
        try await gate.run {
            let start = state.withLock { state -> UploadStateMachine.AppendStart in
                guard state.machine.holds(lease) else { return .superseded }
                return state.machine.startAppend(lease, at: offset, contentLength: contentLength)
            }
            if case .append = start, let writer, writer.needsEpoch {
                try await breaking { writer in
                    let epochs = try writer.advanceEpoch()
                    try await index.save(epochs: epochs, of: record.id)
                }
            }
            return start
        }
    }

    /// Takes bytes; returns once there is room for more.
    func append(_ bytes: [UInt8], _ lease: Lease) async throws -> UploadStateMachine.Receive {
        let (outcome, isBatch) = state.withLock { state -> (UploadStateMachine.Receive, Bool) in
            if state.isBroken { return (.superseded, false) }
            let outcome = state.machine.receive(lease, count: bytes.count)
            switch outcome {
            case .take: state.pending += bytes
            case .overflow(let count): state.pending += bytes[..<count]
            case .superseded: break
            }
            return (outcome, state.pending.count >= configuration.writeBatchBytes)
        }
        if isBatch {
            let isDue = try await gate.run {
                _ = try await write()
                return state.withLock { $0.bytesSinceCheckpoint } >= configuration.checkpointBytes
            }
            if isDue { try await checkpoint() }
        }
        return outcome
    }

    /// Makes everything that was taken durable, and returns what the upload needs next.
    @discardableResult
    func checkpoint() async throws -> UploadStateMachine.FinishAction {
        try await gate.run {
            let received = try await write()
            let (durable, isReceiving) = state.withLock { ($0.machine.durableOffset, $0.machine.phase == .receiving) }
            guard isReceiving else { return .none }
            if received > durable {
                try await breaking { writer in
                    let checkpoint = try await disk.run { try writer.checkpoint() }
                    try await index.save(
                        checkpoint.progress, firstLeaf: checkpoint.firstLeaf, leaves: checkpoint.leaves, of: record.id,
                        now: now())
                    writer.committed()
                    metrics.uploadedBytes.increment(by: UInt64(received - durable))
                }
            }
            return state.withLock { state in
                state.bytesSinceCheckpoint = 0
                return state.machine.checkpoint(durable: received)
            }
        }
    }

    /// Hands what is pending to the writer; within the gate. Returns the offset up to which the writer has everything.
    private func write() async throws -> Int64 {
        let (bytes, received) = state.withLock { state in
            let bytes = state.pending
            state.pending = []
            state.bytesSinceCheckpoint += bytes.count
            return (bytes, state.machine.receivedOffset)
        }
        if !bytes.isEmpty {
            try await breaking { writer in
                try await disk.run { [folder, configuration] in
                    // Every upload was created while there was room; together they may want more than there is.
                    guard try folder.freeBytes() > configuration.minFreeDiskBytes else {
                        throw EdgeError(
                            .exhausted, "this node's disk has no room for the upload", side: .internal,
                            isRetryable: true)
                    }
                    try writer.append(bytes)
                }
            }
        }
        return received
    }

    private func breaking(_ body: (UploadWriter) async throws -> Void) async throws {
        guard !isBroken, let writer else {
            throw EdgeError(
                .io, "the upload's last write failed: ask for its offset and go on", side: .internal, isRetryable: true)
        }
        do {
            try await body(writer)
        } catch {
            state.withLock { $0.isBroken = true }
            throw error
        }
    }

    /// The step from the last durable byte to an outbox entry.
    ///
    /// - Parameter wrappedToken: what the outbox registers it with.
    func verify(wrappedToken: [UInt8]?) async throws -> UploadStateMachine.FinishAction {
        try await gate.run {
            guard phase == .complete, let writer, let digest = MediaID(bytes: writer.digest) else { return .none }
            let action = state.withLock { $0.machine.hashed(digest, declared: record.metadata.sha256) }
            guard case .persist = action else { return action }
            let leaves = try await index.leaves(of: record.id)
            let root = try await disk.run { try writer.writeManifest(leaves: leaves) }
            try await index.saveVerified(
                record.id, media: digest, root: root, wrappedToken: wrappedToken, now: now())
            return state.withLock { $0.machine.persisted(digest) }
        }
    }

    /// One at a time asks the central; who comes later finds the upload registered.
    func registering<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        try await registration.run(body)
    }

    func registered(isOurs: Bool) -> UploadStateMachine.FinishAction {
        state.withLock { $0.machine.registered(isOurs: isOurs) }
    }

    func refused() -> UploadStateMachine.FinishAction {
        state.withLock { $0.machine.refused() }
    }
}
