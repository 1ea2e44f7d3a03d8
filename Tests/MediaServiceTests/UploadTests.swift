import Base
import Crypto
import MediaEngine
import Runtime
import SQLite
import Synchronization
import Testing
import Wire

@testable import MediaService

@Suite struct UploadTests {
    static let sizes = [0, 1, 65_535, 65_536, 65_537, 300_000]

    @Test(arguments: sizes, MediaMode.allCases)
    func uploadedBytesAreRead(size: Int, mode: MediaMode) async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory())
        defer { node.close() }
        let bytes = pseudoRandom(size)
        var metadata = UploadMetadata()
        metadata.mode = mode
        metadata.sha256 = MediaID(bytes: Digest.sha256(bytes))
        let media = try await node.upload(bytes, metadata)
        #expect(media.bytes == Digest.sha256(bytes))
        #expect(try await node.read(media) == bytes)
        if size > 3 { #expect(try await node.read(media, 1..<Int64(size - 1)) == Array(bytes[1..<size - 1])) }
    }

    @Test func managedBytesAreNotOnTheDisk() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory())
        defer { node.close() }
        let bytes = [UInt8](repeating: 0x41, count: 200_000)
        let media = try await node.upload(bytes)
        let found = try await node.leases.lookup(.token("alice"), media)
        let record = try #require(try await node.store.index.object(found.object))
        let stored = try FileSystem.read(node.store.folder.objectPath(record.file), limit: 1 << 20)
        #expect(!stored.contains([UInt8](repeating: 0x41, count: 16)))
        #expect(found.objectKey?.count == 32)
        // The key is at the central alone: not in the index, wrapped or open.
        #expect(try await node.store.index.upload(UUID(high: 0, low: 0)) == nil)
        let wrapped = try await node.store.index.readers.read { database in
            try database.first("SELECT count(*) FROM uploads WHERE key IS NOT NULL OR token IS NOT NULL") { $0.int(0) }
        }
        #expect(wrapped == 0)
    }

    @Test func manyRequestsOfAnySizeMakeOneObject() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory()) { $0.checkpointBytes = 100_000 }
        defer { node.close() }
        let bytes = pseudoRandom(500_000)
        let id = try await node.create(bytes.count)
        var offset = 0
        var outcome = UploadFinisher.Outcome.unfinished
        for size in [1, 65_534, 1, 1, 65_535, 65_536, 10, 200_000, bytes.count] {
            let end = min(bytes.count, offset + size)
            outcome = try await node.append(id, at: offset, Array(bytes[offset..<end]))
            offset = end
            #expect(try await node.offset(id) == Int64(offset))
        }
        guard case .registered(let media) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try await node.read(media) == bytes)
    }

    /// What was acknowledged is there after a crash, what was not is asked for again, and other bytes may come for it.
    @Test(arguments: [MediaMode.managed, .sealed])
    func crashKeepsWhatWasAcknowledged(mode: MediaMode) async throws {
        let folder = TestFolder()
        let directory = MemoryDirectory()
        let bytes = pseudoRandom(400_000)
        var metadata = UploadMetadata()
        metadata.mode = mode
        let first = try TestNode(folder: folder.path, directory: directory) { $0.writeBatchBytes = 1000 }
        let id = try await first.create(bytes.count, metadata)
        try await first.append(id, at: 0, Array(bytes[..<100_000]))
        // Taken and written, never acknowledged.
        try await first.uploads.withUpload(id, owner: TestNode.alice) { upload in
            let lease = try await upload.open()
            _ = try await upload.startAppend(lease, at: 100_000, contentLength: nil)
            _ = try await upload.append([UInt8](repeating: 7, count: 150_000), lease)
        }
        let second = try TestNode(folder: folder.path, directory: directory)
        #expect(try await second.offset(id) == 100_000)
        try await second.append(id, at: 100_000, Array(bytes[100_000..<250_000]))
        let epochs = try #require(try await second.store.index.upload(id)).progress.epochs
        #expect(epochs.current == 1)
        let third = try TestNode(folder: folder.path, directory: directory)
        let outcome = try await third.append(id, at: 250_000, Array(bytes[250_000...]))
        guard case .registered(let media) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(media.bytes == Digest.sha256(bytes))
        #expect(try await third.read(media) == bytes)
        let fourth = try TestNode(folder: folder.path, directory: directory)
        #expect(try await fourth.read(media) == bytes)
        for node in [first, second, third, fourth] { node.close() }
    }

    @Test func newRequestTakesOverFromAHungOne() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory())
        defer { node.close() }
        let bytes = pseudoRandom(100_000)
        let id = try await node.create(bytes.count)
        try await node.uploads.withUpload(id, owner: TestNode.alice) { upload in
            let hung = try await upload.open()
            _ = try await upload.startAppend(hung, at: 0, contentLength: 100_000)
            #expect(try await upload.append(Array(bytes[..<30_000]), hung) == .take(30_000))
            // What it had delivered is kept, and it can deliver no more.
            #expect(try await node.offset(id) == 30_000)
            #expect(try await upload.append([1, 2, 3], hung) == .superseded)
        }
        guard case .registered(let media) = try await node.append(id, at: 30_000, Array(bytes[30_000...])) else {
            Issue.record("not registered")
            return
        }
        #expect(try await node.read(media) == bytes)
    }

    @Test func wrongDigestLeavesNothing() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory())
        defer { node.close() }
        var metadata = UploadMetadata()
        metadata.sha256 = MediaID(bytes: [UInt8](repeating: 1, count: 32))
        let id = try await node.create(10, metadata)
        guard case .digestMismatch = try await node.append(id, at: 0, pseudoRandom(10)) else {
            Issue.record("accepted")
            return
        }
        await #expect(throws: EdgeError.self) { try await node.offset(id) }
        #expect(try await node.store.index.doomedFiles(limit: 10).isEmpty)
    }

    @Test func uploadWaitsForTheCentral() async throws {
        let folder = TestFolder()
        let directory = MemoryDirectory()
        let node = try TestNode(folder: folder.path, directory: directory)
        directory.set { $0.isDown = true }
        let bytes = pseudoRandom(70_000)
        let id = try await node.create(bytes.count)
        guard case .pending = try await node.append(id, at: 0, bytes) else {
            Issue.record("registered while the central was down")
            return
        }
        // Over a crash, too.
        let next = try TestNode(folder: folder.path, directory: directory)
        try await next.finisher.drainOutbox()
        directory.set { $0.isDown = false }
        try await next.finisher.drainOutbox()
        let phase = try await next.uploads.withUpload(id, owner: TestNode.alice) { $0.phase }
        guard case .registered(let media) = phase else {
            Issue.record("\(phase)")
            return
        }
        #expect(try await next.read(media) == bytes)
        #expect(directory.state.withLock { $0.registrations } == 1)
        try await next.finisher.drainOutbox()
        #expect(directory.state.withLock { $0.registrations } == 1)
        for node in [node, next] { node.close() }
    }

    @Test func sameContentIsKeptOnce() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory())
        defer { node.close() }
        let bytes = pseudoRandom(70_000)
        let first = try await node.upload(bytes)
        let second = try await node.upload(bytes)
        #expect(first == second)
        let objects = try await node.store.index.readers.read { database in
            try database.first("SELECT count(*) FROM objects") { $0.int(0) }
        }
        #expect(objects == 1)
        #expect(try await node.read(first) == bytes)
    }

    /// A node that comes back with an empty disk, and a central that still counts on what was on it.
    @Test func contentThatTheNodeHasLostIsKeptWhenItComesAgain() async throws {
        let (lost, folder) = (TestFolder(), TestFolder())
        let directory = MemoryDirectory()
        let before = try TestNode(folder: lost.path, directory: directory)
        let bytes = pseudoRandom(70_000)
        let media = try await before.upload(bytes)
        before.close()
        let node = try TestNode(folder: folder.path, directory: directory)
        defer { node.close() }
        #expect(try await node.upload(bytes) == media)
        #expect(try await node.read(media) == bytes)
    }

    /// The answer of the central is lost, and the client deletes what it takes for unfinished.
    @Test func deletedUploadThatTheDirectoryKnowsIsHeldByNobody() async throws {
        let folder = TestFolder()
        let directory = MemoryDirectory()
        let node = try TestNode(folder: folder.path, directory: directory)
        defer { node.close() }
        directory.afterRegistration.withLock {
            $0 = { _ in throw EdgeError(.timeout, "lost", side: .upstream, isRetryable: true) }
        }
        let bytes = pseudoRandom(70_000)
        let id = try await node.create(bytes.count)
        guard case .pending = try await node.append(id, at: 0, bytes) else {
            Issue.record("the answer was not lost")
            return
        }
        directory.afterRegistration.withLock { $0 = nil }
        try await node.uploads.withUpload(id, owner: TestNode.alice) { try await node.finisher.terminate($0) }
        #expect(directory.state.withLock { $0.entries.values.allSatisfy { $0.holders.isEmpty } })
        let media = try await node.upload(bytes)
        #expect(try await node.read(media) == bytes)
        // One that is registered stays when its upload is deleted.
        let held = directory.state.withLock { $0.entries.values.map(\.holders) }
        #expect(held == [["a"]])
    }

    @Test func refusedUploadGoes() async throws {
        let folder = TestFolder()
        let directory = MemoryDirectory()
        let node = try TestNode(folder: folder.path, directory: directory)
        defer { node.close() }
        directory.set { $0.refusal = EdgeError(.forbidden, "revoked") }
        let id = try await node.create(5)
        guard case .refused(let error) = try await node.append(id, at: 0, [1, 2, 3, 4, 5]) else {
            Issue.record("accepted")
            return
        }
        #expect(error.kind == .forbidden)
        await #expect(throws: EdgeError.self) { try await node.offset(id) }
    }

    @Test func fullDiskTakesNoMoreOfAnyUpload() async throws {
        let folder = TestFolder()
        let directory = MemoryDirectory()
        let bytes = pseudoRandom(200_000)
        let first = try TestNode(folder: folder.path, directory: directory)
        let id = try await first.create(bytes.count)
        try await first.append(id, at: 0, Array(bytes[..<70_000]))
        let full = try TestNode(folder: folder.path, directory: directory) { $0.minFreeDiskBytes = .max }
        let refusal = await #expect(throws: EdgeError.self) {
            try await full.append(id, at: 70_000, Array(bytes[70_000...]))
        }
        #expect(refusal?.kind == .exhausted && refusal?.side == .internal)
        // What was acknowledged is kept.
        let again = try TestNode(folder: folder.path, directory: directory)
        #expect(try await again.offset(id) == 70_000)
        guard case .registered(let media) = try await again.append(id, at: 70_000, Array(bytes[70_000...])) else {
            Issue.record("not registered")
            return
        }
        #expect(try await again.read(media) == bytes)
        for node in [first, full, again] { node.close() }
    }

    /// Two that finish it would be two in memory: its creation is one.
    @Test func outboxLeavesAnEmptyUploadToItsCreation() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory())
        defer { node.close() }
        let id = try await node.create(0)
        #expect(try await node.store.index.unregisteredUploads(limit: 10).isEmpty)
        guard case .registered = try await node.append(id, at: 0, []) else {
            Issue.record("not registered")
            return
        }
    }

    @Test func uploadWithoutAFileDoesNotCount() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory()) { $0.maxOpenUploadsPerUser = 1 }
        defer { node.close() }
        let objects = folder.path + "/objects"
        try FileSystem.rename(objects, to: objects + ".away")
        await #expect(throws: EdgeError.self) { _ = try await node.create(100) }
        try FileSystem.rename(objects + ".away", to: objects)
        _ = try await node.create(100)
    }

    @Test func boundsHold() async throws {
        let folder = TestFolder()
        let node = try TestNode(folder: folder.path, directory: MemoryDirectory()) {
            $0.maxOpenUploadsPerUser = 3
            $0.maxIdleUploads = 1
        }
        defer { node.close() }
        var ids: [UUID] = []
        for _ in 0..<3 { ids.append(try await node.create(100)) }
        await #expect(throws: EdgeError.self) { _ = try await node.create(100) }
        for id in ids { try await node.append(id, at: 0, [1, 2, 3]) }
        #expect(node.uploads.inMemory <= 1)
        for id in ids { #expect(try await node.offset(id) == 3) }
        let bob = try #require(UserAddress(tenant: .default, user: "bob"))
        await #expect(throws: EdgeError.self) {
            try await node.uploads.withUpload(ids[0], owner: bob) { _ in }
        }
    }
}
