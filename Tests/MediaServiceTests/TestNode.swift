import Base
import Crypto
import Glibc
import MediaEngine
import Runtime
import Synchronization
import Testing
import Wire

@testable import MediaService

/// The media parts of one node, without HTTP, on a folder of its own. Dropping it without `close` and opening another on
/// the same folder is a crash.
final class TestNode: Sendable {
    let configuration: MediaService.Configuration
    let store: Store
    let uploads: Uploads
    let finisher: UploadFinisher
    let objects: Objects
    let leases: Leases
    let directory: MemoryDirectory
    let loops: EventLoopGroup
    let node: String

    init(
        _ name: String = "a", folder: String, directory: MemoryDirectory, transport: (any SiblingTransport)? = nil,
        _ change: (inout MediaService.Configuration) -> Void = { _ in }
    ) throws {
        var configuration = MediaService.Configuration()
        configuration.dataDirectory = folder
        configuration.minFreeDiskBytes = 0
        change(&configuration)
        self.configuration = configuration
        self.directory = directory
        node = name
        loops = try EventLoopGroup(count: 1)
        let view = directory.view(of: name)
        let logger = Logger(label: "test", sink: SilentLogSink())
        store = try Store(configuration: configuration, metrics: MediaMetrics(MetricsRegistry()))
        let now: @Sendable () -> WallTime = { WallClock.now() }
        uploads = Uploads(store: store, configuration: configuration, now: now)
        finisher = UploadFinisher(
            store: store, uploads: uploads, directory: view, logger: logger, now: now, onRegistered: { _ in })
        objects = Objects(
            store: store, directory: view, transport: transport ?? NoSiblings(), configuration: configuration,
            node: name,
            logger: logger)
        leases = Leases(directory: view, configuration: configuration, clock: { MonotonicClock.now() })
    }

    func close() {
        store.close()
        loops.shutdown()
    }

    static let alice = UserAddress(tenant: .default, user: "alice")!

    func create(_ length: Int, _ metadata: UploadMetadata = UploadMetadata()) async throws -> UUID {
        try await uploads.create(owner: Self.alice, length: Int64(length), metadata: metadata, token: "alice")
    }

    /// One request that delivers the bytes and ends well.
    @discardableResult
    func append(_ id: UUID, at offset: Int, _ bytes: [UInt8], piece: Int = 40_000) async throws
        -> UploadFinisher.Outcome
    {
        try await uploads.withUpload(id, owner: Self.alice) { upload in
            let lease = try await upload.open()
            let start = try await upload.startAppend(lease, at: Int64(offset), contentLength: Int64(bytes.count))
            if case .alreadyComplete = start { return try await finisher.finish(upload, token: "alice") }
            guard case .append = start else { throw EdgeError(.conflict, "\(start)") }
            var position = 0
            while position < bytes.count {
                let end = min(bytes.count, position + piece)
                _ = try await upload.append(Array(bytes[position..<end]), lease)
                position = end
            }
            try await upload.checkpoint()
            return try await finisher.finish(upload, token: "alice")
        }
    }

    func offset(_ id: UUID) async throws -> Int64 {
        try await uploads.withUpload(id, owner: Self.alice) { upload in
            _ = try await upload.open()
            return upload.durableOffset
        }
    }

    func upload(_ bytes: [UInt8], _ metadata: UploadMetadata = UploadMetadata()) async throws -> MediaID {
        let id = try await create(bytes.count, metadata)
        guard case .registered(let media) = try await append(id, at: 0, bytes) else {
            throw EdgeError(.conflict, "not registered")
        }
        return media
    }

    /// Reads a range the way a response does.
    func read(_ media: MediaID, variant: String = "", _ range: Range<Int64>? = nil, token: String = "alice")
        async throws -> [UInt8]
    {
        let found = try await leases.lookup(.token(token), media, variant: variant)
        let object = try await objects.object(found, media: media, variant: variant, on: loops.loops[0])
        let range = range ?? 0..<found.sizeBytes
        let chunks = object.layout.chunks(holding: range)
        var output: [UInt8] = []
        var next = chunks.lowerBound
        while next < chunks.upperBound {
            let count = try await object.available(from: next, limit: min(4, chunks.upperBound - next))
            let some = next..<next + count
            if found.mode == .managed {
                output += try object.decrypt(some, within: range, key: found.objectKey ?? [])
            } else {
                try object.check(some)
                let stored = try object.file.readExactly(
                    count: object.layout.storedCount(of: some), at: object.layout.storedOffset(of: some.lowerBound))
                let start = object.layout.slice(of: some.lowerBound, within: range).lowerBound
                let wanted = some.reduce(0) { $0 + object.layout.slice(of: $1, within: range).count }
                output += stored[start..<start + wanted]
            }
            next += count
        }
        return output
    }
}

struct NoSiblings: SiblingTransport {
    func manifest(of object: UUID, at holder: EdgeDescription, limit: Int) async throws -> [UInt8] {
        throw EdgeError(.unavailable, "no siblings", side: .upstream)
    }

    func chunks(
        of object: UUID, _ chunks: Range<Int>, at holder: EdgeDescription, receive: ([UInt8]) async throws -> Void
    ) async throws { throw EdgeError(.unavailable, "no siblings", side: .upstream) }
}

/// A folder that is removed when the test ends.
final class TestFolder: Sendable {
    let path: String

    init() { path = "/tmp/skerry-media-\(Hex.encode(randomBytes(8)))" }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        if let names = try? FileSystem.names(in: path) {
            for name in names { remove(path + "/" + name) }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

func pseudoRandom(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state)
    }
}
