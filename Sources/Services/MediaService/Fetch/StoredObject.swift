import Base
import MediaEngine
import Runtime
import Synchronization
import Wire

/// An object's file, open to read: whole, or being filled while readers follow.
///
/// A reader gets a chunk only once it is verified against the manifest, and the manifest against the directory. When the
/// fill fails, or the object is purged, every reader gets the error; none gets a short success.
final class StoredObject: Sendable {
    private struct State {
        var manifest: Manifest?
        var plan: FillPlan
        /// Chunks of a sealed object whose bytes on the disk were checked in this process.
        var checked: FillPlan
        var failure: EdgeError?
        var waiters: [(chunk: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    let object: UUID
    let layout: ChunkLayout
    let file: File
    private let state: Mutex<State>

    /// An object that is whole on this disk.
    init(record: ObjectRecord, file: File) throws {
        object = record.object
        layout = record.layout
        self.file = file
        let trailer = try file.size() - layout.storedBytes
        guard trailer >= 0, trailer <= Int64(Manifest.maximumEncodedCount(chunks: layout.chunkCount)) else {
            throw EdgeError(.corrupt, "an object's file has the wrong size", side: .internal)
        }
        let encoded = try file.readExactly(count: Int(trailer), at: layout.storedBytes)
        let manifest: Manifest
        do {
            manifest = try Manifest(encoded: encoded, layout: layout, root: record.manifestRoot)
        } catch {
            throw EdgeError(.corrupt, "an object's manifest is broken", side: .internal, cause: error)
        }
        var plan = FillPlan(chunkCount: layout.chunkCount, batch: 1)
        for chunk in 0..<layout.chunkCount { plan.insert(chunk) }
        state = Mutex(State(manifest: manifest, plan: plan, checked: FillPlan(chunkCount: layout.chunkCount, batch: 1)))
    }

    /// An object of which nothing is here yet.
    init(filling object: UUID, layout: ChunkLayout, file: File, batch: Int) {
        self.object = object
        self.layout = layout
        self.file = file
        let none = FillPlan(chunkCount: layout.chunkCount, batch: batch)
        state = Mutex(State(plan: none, checked: none))
    }

    var manifest: Manifest? { state.withLock { $0.manifest } }
    var failure: EdgeError? { state.withLock { $0.failure } }

    // MARK: Filling

    func begin(_ manifest: Manifest) { state.withLock { $0.manifest = manifest } }

    func nextBatch() -> Range<Int>? { state.withLock { $0.plan.nextBatch() } }

    /// Verified chunks have been written.
    func filled(_ chunks: Range<Int>) {
        let ready = state.withLock { state in
            for chunk in chunks {
                state.plan.insert(chunk)
                state.checked.insert(chunk)
            }
            let ready = state.waiters.filter { state.plan.contains($0.chunk) }
            state.waiters.removeAll { state.plan.contains($0.chunk) }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    /// Ends every reader with the error. The first one counts.
    func fail(_ error: EdgeError) {
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = error }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume() }
    }

    // MARK: Reading

    /// Waits until the first of the chunks is there.
    ///
    /// - Returns: how many are there in a row, at most `limit`.
    func available(from chunk: Int, limit: Int) async throws -> Int {
        while true {
            let (count, failure) = state.withLock { ($0.plan.run(from: chunk, limit: limit), $0.failure) }
            if let failure { throw failure }
            if count > 0 { return count }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.failure != nil || state.plan.contains(chunk) { return true }
                    state.plan.want(chunk)
                    state.waiters.append((chunk, continuation))
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    /// The plaintext of managed chunks, cut to the range. Blocks.
    ///
    /// - Throws: `EdgeError.corrupt` if a chunk's seal is broken.
    func decrypt(_ chunks: Range<Int>, within range: Range<Int64>, key: [UInt8]) throws -> [UInt8] {
        guard let epochs = manifest?.epochs else { preconditionFailure("chunks are there, so is the manifest") }
        let sealer = ChunkSealer(object: object, layout: layout, key: key)
        let stored = try file.readExactly(
            count: layout.storedCount(of: chunks), at: layout.storedOffset(of: chunks.lowerBound))
        let count = chunks.reduce(0) { $0 + layout.count(of: $1) }
        var isWhole = true
        let plaintext = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let output = UnsafeMutableRawBufferPointer(buffer)
            stored.withUnsafeBytes { input in
                var position = 0
                for chunk in chunks {
                    let size = layout.storedCount(of: chunk)
                    let opened = sealer.open(
                        UnsafeRawBufferPointer(rebasing: input[position..<position + size]), chunk: chunk,
                        epoch: epochs.epoch(of: chunk),
                        into: UnsafeMutableRawBufferPointer(rebasing: output[filled..<filled + layout.count(of: chunk)])
                    )
                    guard opened else {
                        isWhole = false
                        return
                    }
                    position += size
                    filled += layout.count(of: chunk)
                }
            }
        }
        guard isWhole else { throw EdgeError(.corrupt, "an object's bytes on the disk are broken", side: .internal) }
        let start = layout.slice(of: chunks.lowerBound, within: range).lowerBound
        let last = chunks.upperBound - 1
        let dropped = layout.count(of: last) - layout.slice(of: last, within: range).upperBound
        return start == 0 && dropped == 0 ? plaintext : Array(plaintext[start..<count - dropped])
    }

    /// Holds the stored bytes of sealed chunks against the manifest, once per chunk and process. Blocks.
    func check(_ chunks: Range<Int>) throws {
        let (manifest, missing) = state.withLock { state in
            (state.manifest, chunks.filter { !state.checked.contains($0) })
        }
        guard let manifest else { preconditionFailure("chunks are there, so is the manifest") }
        for chunk in missing {
            let stored = try file.readExactly(count: layout.storedCount(of: chunk), at: layout.storedOffset(of: chunk))
            guard stored.withUnsafeBytes({ manifest.verifies(chunk: chunk, stored: $0) }) else {
                throw EdgeError(.corrupt, "an object's bytes on the disk are broken", side: .internal)
            }
        }
        state.withLock { state in
            for chunk in missing { state.checked.insert(chunk) }
        }
    }
}
