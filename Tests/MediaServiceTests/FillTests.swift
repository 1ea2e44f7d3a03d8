import Base
import MediaEngine
import Runtime
import Synchronization
import Testing
import Wire

@testable import MediaService

/// Siblings that are read straight from their stores, and may misbehave.
final class DirectSiblings: SiblingTransport {
    enum Fault: Sendable {
        case none, dead, liesAboutManifest, flipsABit, stopsShort, neverEnds
    }

    struct State: Sendable {
        var nodes: [String: TestNode] = [:]
        var faults: [String: Fault] = [:]
        var manifests = 0
        var chunksSent = 0
        /// Pieces behind the last chunk that was asked for.
        var surplus = 0
        /// Chunks go out only while this is positive; nil lets all pass.
        var allowance: Int?
    }

    let state = Mutex(State())

    private func object(_ object: UUID, _ holder: EdgeDescription) async throws -> StoredObject {
        let node = state.withLock { $0.nodes[holder.name] }
        guard let held = try await node?.objects.held(object) else { throw EdgeError(.notFound, "not held") }
        return held
    }

    private func fault(_ holder: EdgeDescription) -> Fault { state.withLock { $0.faults[holder.name] ?? .none } }

    func manifest(of id: UUID, at holder: EdgeDescription, limit: Int) async throws -> [UInt8] {
        state.withLock { $0.manifests += 1 }
        if case .dead = fault(holder) { throw EdgeError(.unavailable, "dead", side: .upstream) }
        guard var encoded = try await object(id, holder).manifest?.encoded else { throw EdgeError(.notFound, "none") }
        if case .liesAboutManifest = fault(holder) { encoded[encoded.count - 1] ^= 1 }
        return encoded
    }

    func chunks(
        of id: UUID, _ chunks: Range<Int>, at holder: EdgeDescription, receive: ([UInt8]) async throws -> Void
    ) async throws {
        let object = try await object(id, holder)
        for chunk in chunks {
            if case .stopsShort = fault(holder), chunk >= 2 { return }
            var stored = try object.file.readExactly(
                count: object.layout.storedCount(of: chunk), at: object.layout.storedOffset(of: chunk))
            if case .flipsABit = fault(holder), chunk == 2 { stored[77] ^= 4 }
            while state.withLock({ $0.allowance == 0 }) { await Task.yield() }
            state.withLock { state in
                state.chunksSent += 1
                if let allowance = state.allowance { state.allowance = allowance - 1 }
            }
            // In pieces that do not end where chunks end.
            try await receive(Array(stored[..<(stored.count / 3)]))
            try await receive(Array(stored[(stored.count / 3)...]))
        }
        if case .neverEnds = fault(holder) {
            for _ in 0..<1000 {
                state.withLock { $0.surplus += 1 }
                try await receive([UInt8](repeating: 0, count: 1000))
            }
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct FillTests {
    let folder = TestFolder()
    let directory = MemoryDirectory()
    let siblings = DirectSiblings()

    func node(_ name: String) throws -> TestNode {
        let node = try TestNode(name, folder: "\(folder.path)/\(name)", directory: directory, transport: siblings) {
            $0.fillBatchChunks = 3
        }
        siblings.state.withLock { $0.nodes[name] = node }
        return node
    }

    /// Without an end of their own, nodes and siblings would hold each other.
    func close(_ nodes: [TestNode]) {
        siblings.state.withLock { $0.nodes = [:] }
        for node in nodes { node.close() }
    }

    @Test func objectIsFetchedOnceForAllReadersAndThenHeld() async throws {
        let (a, b) = (try node("a"), try node("b"))
        let bytes = pseudoRandom(1_000_000)
        let media = try await a.upload(bytes)
        try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<50 { group.addTask { try await b.read(media) } }
            for try await read in group { #expect(read == bytes) }
        }
        #expect(siblings.state.withLock { $0.manifests } == 1)
        #expect(siblings.state.withLock { $0.chunksSent } == 16)
        let object = try await b.leases.lookup(.token("alice"), media).object
        while try await !b.objects.holds(object) { await Task.yield() }
        // The next node finds both, and the first may be gone.
        siblings.state.withLock { $0.faults["a"] = .dead }
        let c = try node("c")
        #expect(try await c.read(media, 70_000..<70_010) == Array(bytes[70_000..<70_010]))
        // After a restart it is there without its siblings.
        let again = try TestNode("b", folder: "\(folder.path)/b", directory: directory)
        #expect(try await again.read(media) == bytes)
        close([a, b, c, again])
    }

    @Test func readersFollowTheFill() async throws {
        let (a, b) = (try node("a"), try node("b"))
        let bytes = pseudoRandom(1_000_000)
        let media = try await a.upload(bytes)
        siblings.state.withLock { $0.allowance = 3 }
        // The first chunks are read before the others are there.
        #expect(try await b.read(media, 0..<100_000) == Array(bytes[..<100_000]))
        async let late = b.read(media, 900_000..<900_100)
        siblings.state.withLock { $0.allowance = nil }
        #expect(try await late == Array(bytes[900_000..<900_100]))
        close([a, b])
    }

    @Test(arguments: [DirectSiblings.Fault.dead, .liesAboutManifest, .flipsABit, .stopsShort, .neverEnds])
    func badSiblingIsNeverBelieved(fault: DirectSiblings.Fault) async throws {
        let (a, b) = (try node("a"), try node("b"))
        let bytes = pseudoRandom(1_000_000)
        let media = try await a.upload(bytes)
        siblings.state.withLock { $0.faults["a"] = fault }
        await #expect(throws: EdgeError.self) { _ = try await b.read(media) }
        // No half object stays, and when there is an honest one it comes from there.
        let object = try await b.leases.lookup(.token("alice"), media).object
        #expect(try await !b.objects.holds(object))
        #expect(siblings.state.withLock { $0.surplus } <= 1)
        siblings.state.withLock { $0.faults = [:] }
        #expect(try await b.read(media) == bytes)
        close([a, b])
    }

    @Test func secondHolderGoesOnWhereTheFirstFailed() async throws {
        let (a, b, c) = (try node("a"), try node("b"), try node("c"))
        let bytes = pseudoRandom(1_000_000)
        let media = try await a.upload(bytes)
        #expect(try await b.read(media) == bytes)
        let object = try await b.leases.lookup(.token("alice"), media).object
        while try await !b.objects.holds(object) { await Task.yield() }
        while directory.state.withLock({ $0.entries.values.first?.holders.count }) != 2 { await Task.yield() }
        let before = siblings.state.withLock { state in
            state.faults = ["a": .flipsABit]
            return state.chunksSent
        }
        #expect(try await c.read(media) == bytes)
        // At most the batch with the bad chunk was fetched twice.
        #expect(siblings.state.withLock { $0.chunksSent } - before <= 16 + 3)
        close([a, b, c])
    }

    @Test(arguments: ["missing", "cut short"])
    func fileThatCannotBeOpenedIsMendedFromASibling(fault: String) async throws {
        let (a, b) = (try node("a"), try node("b"))
        let bytes = pseudoRandom(300_000)
        let media = try await a.upload(bytes)
        #expect(try await b.read(media) == bytes)
        let object = try await b.leases.lookup(.token("alice"), media).object
        while try await !b.objects.holds(object) { await Task.yield() }
        let record = try #require(try await b.store.index.object(object))
        let restarted = try TestNode("b", folder: "\(folder.path)/b", directory: directory, transport: siblings)
        let path = restarted.store.folder.objectPath(record.file)
        try FileSystem.remove(path)
        if fault == "cut short" { _ = try File(path, .create) }
        #expect(try await restarted.read(media) == bytes)
        restarted.close()
        close([a, b])
    }

    @Test func brokenDiskIsMendedFromASibling() async throws {
        let (a, b) = (try node("a"), try node("b"))
        for mode in MediaMode.allCases {
            let bytes = pseudoRandom(300_000, seed: mode == .managed ? 1 : 2)
            var metadata = UploadMetadata()
            metadata.mode = mode
            let media = try await a.upload(bytes, metadata)
            #expect(try await b.read(media) == bytes)
            let object = try await b.leases.lookup(.token("alice"), media).object
            while try await !b.objects.holds(object) { await Task.yield() }
            let record = try #require(try await b.store.index.object(object))
            let restarted = try TestNode("b", folder: "\(folder.path)/b", directory: directory, transport: siblings)
            let file = try File(restarted.store.folder.objectPath(record.file), .update)
            var byte = try file.read(at: 100_000, count: 1)
            byte[0] ^= 1
            try file.write(byte, at: 100_000)
            await #expect(throws: EdgeError.self) { _ = try await restarted.read(media) }
            let found = try await restarted.leases.lookup(.token("alice"), media)
            let held = try #require(try await restarted.objects.held(object))
            await restarted.objects.isBroken(held, holders: found.holders)
            #expect(try await restarted.read(media) == bytes)
            restarted.close()
        }
        close([a, b])
    }
}
