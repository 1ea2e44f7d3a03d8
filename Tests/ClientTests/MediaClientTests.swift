import Base
import Crypto
import Runtime
import Synchronization
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1)))
struct MediaClientTests {
    private func bytes(_ count: Int) -> [UInt8] {
        var value: UInt32 = 1
        return (0..<count).map { _ in
            value = value &* 1_664_525 &+ 1_013_904_223
            return UInt8(truncatingIfNeeded: value >> 24)
        }
    }

    @Test func anUploadGoesOnAfterEveryLostConnection() async throws {
        let folder = try TemporaryFolder()
        let content = bytes(400_000)
        try FileSystem.replace(folder.path + "/photo.jpg", with: content)
        try await ScriptedEdge.run(.init(cutUploadsAt: [50_000, 50_001, 200_000], refusals: [503, 423])) { edge in
            let state = UploadStateFile(path: folder.path + "/state")
            let last = Mutex<(Int64, Int64)>((0, 0))
            let result = try await edge.media().upload(
                folder.path + "/photo.jpg", UploadOptions(filename: "photo.jpg", contentType: "image/jpeg"),
                state: state
            ) { count, total in last.withLock { $0 = (count, total) } }
            #expect(result.media.bytes == Digest.sha256(content))
            #expect(result.resumedAtBytes == 0)
            #expect(edge.seen.withLock { $0.uploaded } == content)
            #expect(edge.seen.withLock { $0.metadata }.contains("filetype aW1hZ2UvanBlZw=="))
            #expect(last.withLock { $0 } == (400_000, 400_000))
            #expect(state.load() == nil)
        }
    }

    @Test func aLaterCallGoesOnWithAStoppedUpload() async throws {
        let folder = try TemporaryFolder()
        let content = bytes(300_000)
        try FileSystem.replace(folder.path + "/photo.jpg", with: content)
        try await ScriptedEdge.run(.init()) { edge in
            let state = UploadStateFile(path: folder.path + "/state")
            await #expect(throws: TransferStopped.self) {
                _ = try await edge.media().upload(folder.path + "/photo.jpg", state: state) { count, _ in
                    if count > 100_000 { throw CancellationError() }
                }
            }
            #expect(state.load() != nil)
            let result = try await edge.media().upload(folder.path + "/photo.jpg", state: state)
            #expect(result.resumedAtBytes > 0)
            #expect(edge.seen.withLock { $0.uploaded } == content)
        }
    }

    @Test func aChangedFileStartsAnew() async throws {
        let folder = try TemporaryFolder()
        try FileSystem.replace(folder.path + "/photo.jpg", with: bytes(1000))
        try await ScriptedEdge.run(.init()) { edge in
            let state = UploadStateFile(path: folder.path + "/state")
            let other = try #require(MediaID(bytes: Digest.sha256([1])))
            try state.save(UploadState(uploadPath: ScriptedEdge.uploadPath, sizeBytes: 1000, sha256: other))
            let result = try await edge.media().upload(folder.path + "/photo.jpg", state: state)
            #expect(edge.seen.withLock { $0.isCreated })
            #expect(result.resumedAtBytes == 0)
        }
    }

    @Test func aRefusalIsNotTriedAgain() async throws {
        let folder = try TemporaryFolder()
        try FileSystem.replace(folder.path + "/photo.jpg", with: bytes(1000))
        try await ScriptedEdge.run(.init(refusals: [413])) { edge in
            let error = await #expect(throws: AnswerError.self) {
                _ = try await edge.media().upload(folder.path + "/photo.jpg")
            }
            #expect(error?.status == 413)
            #expect(error?.message.contains("The script says so.") == true)
            #expect(edge.seen.withLock { $0.patches } == 1)
        }
    }

    @Test func aFetchGoesOnWhereItBrokeOff() async throws {
        let folder = try TemporaryFolder()
        let content = bytes(300_000)
        let media = try #require(MediaID(bytes: Digest.sha256(content)))
        try await ScriptedEdge.run(.init(cutFetchesAt: [100_000, 250_000], object: content)) { edge in
            let result = try await edge.media().fetch(media, to: folder.path + "/copy")
            #expect(result.reconnects == 2)
            #expect(result.contentType == "image/jpeg")
            #expect(try FileSystem.read(folder.path + "/copy") == content)
            #expect(edge.seen.withLock { $0.ranges } == [nil, "bytes=100000-", "bytes=250000-"])
            let names = try FileSystem.names(in: folder.path)
            #expect(names == ["copy"])
        }
    }

    @Test func bytesThatAreNotTheMediaAreThrownAway() async throws {
        let folder = try TemporaryFolder()
        let media = try #require(MediaID(bytes: Digest.sha256([1])))
        try await ScriptedEdge.run(.init(object: bytes(1000))) { edge in
            let error = await #expect(throws: EdgeError.self) {
                _ = try await edge.media().fetch(media, to: folder.path + "/copy")
            }
            #expect(error?.kind == .corrupt)
            let names = try FileSystem.names(in: folder.path)
            #expect(names == [])
        }
    }
}
