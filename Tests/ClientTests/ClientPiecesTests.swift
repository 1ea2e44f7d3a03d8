import Base
import Crypto
import JSONCodec
import Runtime
import Testing

@testable import Client

struct ClientPiecesTests {
    @Test func delaysDoubleUpToTheBoundAndStartAgainAfterSuccess() {
        var backoff = Backoff(firstDelayMs: 100, maxDelayMs: 1000)
        for expected in [100, 200, 400, 800, 1000, 1000] as [Int64] {
            let delay = backoff.next().milliseconds
            #expect((expected / 2...expected).contains(delay))
        }
        backoff.reset()
        #expect(backoff.next() <= .milliseconds(100))
    }

    @Test(arguments: [
        ("bytes 5-9/10", true), ("bytes 0-0/1", true), ("bytes 5-9/9", false), ("bytes 9-5/10", false),
        ("bytes 5-9/*", false),
        ("items 5-9/10", false), ("bytes", false), ("", false),
    ])
    func contentRanges(text: String, isGood: Bool) {
        #expect((ContentRange(text) != nil) == isGood)
    }

    @Test func theSizeOfAnUnsatisfiedRange() {
        #expect(ContentRange.unsatisfiedSize("bytes */10") == 10)
        #expect(ContentRange.unsatisfiedSize("bytes 0-1/10") == nil)
    }

    @Test func iceServersAreReadAsBrowsersReadThem() throws {
        let text = """
            {"iceServers":[{"urls":["turn:127.0.0.1:3478?transport=udp"],"username":"9:default:alice","credential":"x"},\
            {"urls":"stun:127.0.0.1:3478"}],"ttl_s":3600}
            """
        let servers = try ICEServers(json: try JSONValue.parse(text))
        #expect(servers.ttlSeconds == 3600)
        #expect(servers.servers.count == 2)
        #expect(servers.servers[0].username == "9:default:alice")
        #expect(servers.servers[1].urls == ["stun:127.0.0.1:3478"])
        #expect(throws: EdgeError.self) { try ICEServers(json: ["iceServers": []]) }
    }

    @Test func anUploadsStateSurvivesAndADamagedOneIsNone() throws {
        let folder = try TemporaryFolder()
        let file = UploadStateFile(path: folder.path + "/state.json")
        #expect(file.load() == nil)
        let media = try #require(MediaID(bytes: Digest.sha256([1, 2, 3])))
        let state = UploadState(uploadPath: "/media/uploads/1", sizeBytes: 3, sha256: media)
        try file.save(state)
        #expect(file.load() == state)
        try FileSystem.replace(file.path, with: Array("{\"upload_path\":".utf8))
        #expect(file.load() == nil)
        try file.remove()
        #expect(file.load() == nil)
    }

    @Test func aFilesHashDoesNotDependOnItsPieces() throws {
        let folder = try TemporaryFolder()
        for count in [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try FileSystem.replace(folder.path + "/file", with: bytes)
            #expect(try File(folder.path + "/file", .read).sha256() == Digest.sha256(bytes))
        }
    }
}
