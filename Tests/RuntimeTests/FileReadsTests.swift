import Base
import Glibc
import Synchronization
import Testing

@testable import Runtime

/// A file on the disk, of which the page cache can be made to know nothing. Beside the tests, since /tmp may be memory.
private final class ColdFile: Sendable {
    let file: File
    let count: Int
    private let path: String

    init(bytes count: Int) throws {
        self.count = count
        path = #filePath + ".cold-\(UInt64.random(in: 0...UInt64.max))"
        file = try File(path, .create)
        try file.write((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }, at: 0)
        try file.synchronize()
        posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED)
    }

    deinit { unlink(path) }
}

@Suite(.timeLimit(.minutes(1))) struct FileReadsTests {
    @Test func `what the page cache has is told from what it has not`() async throws {
        let cold = try ColdFile(bytes: 4 << 20)
        let group = try EventLoopGroup(count: 1)
        defer { group.shutdown() }
        #expect(!FileReads.isResident(cold.file.descriptor, offset: 0, count: cold.count))
        try await group.fileReads.load(cold.file.descriptor, offset: 1 << 20, count: 1 << 20)
        #expect(FileReads.isResident(cold.file.descriptor, offset: 1 << 20, count: 1 << 20))
        try await group.fileReads.load(cold.file.descriptor, offset: 0, count: cold.count)
        #expect(FileReads.isResident(cold.file.descriptor, offset: 0, count: cold.count))
        #expect(FileReads.isResident(cold.file.descriptor, offset: 5, count: 1))
        // Behind the end there is nothing to have.
        #expect(!FileReads.isResident(cold.file.descriptor, offset: 4 << 20, count: 1))
        try await group.fileReads.load(cold.file.descriptor, offset: 4 << 20, count: 1)
        #expect(group.fileReads.loads.value == 3)
    }

    @Test func `a cold file is sent whole, and the loop does not wait for the disk`() async throws {
        let cold = try ColdFile(bytes: 6_000_001)
        let group = try EventLoopGroup(count: 1)
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0)
        let (near, far) = (pair[0], pair[1])
        let loop = group.loops[0]
        let outcome = Mutex<(sent: Int, blocksRead: Int)>((0, 0))
        let sender = loop.spawn {
            guard let stream = try? ByteStream(adopting: near, on: loop) else { return }
            let before = Self.blocksReadByThisThread()
            do {
                try await stream.sendFile(cold.file.descriptor, offset: 1, count: cold.count - 1)
                outcome.withLock { $0 = (cold.count - 1, Self.blocksReadByThisThread() - before) }
            } catch { Issue.record(error) }
            stream.close()
        }
        let received = Mutex<[UInt8]>([])
        let receiver = loop.spawn {
            guard let stream = try? ByteStream(adopting: far, on: loop) else { return }
            do {
                while try await stream.receive() {
                    received.withLock { $0 += stream.inbound.take(stream.inbound.count) }
                }
            } catch { Issue.record(error) }
            stream.close()
        }
        await sender.value
        await receiver.value
        let expected = try cold.file.read(at: 1, count: cold.count)
        #expect(received.withLock { $0 } == expected)
        #expect(outcome.withLock { $0.sent } == cold.count - 1)
        // The disk was read, and not by the loop's thread.
        #expect(group.fileReads.loads.value >= 1)
        #expect(outcome.withLock { $0.blocksRead } == 0)
        group.shutdown()
    }

    private static func blocksReadByThisThread() -> Int {
        var usage = rusage()
        let thisThread: Int32 = 1  // RUSAGE_THREAD, which the headers hide from Swift
        getrusage(thisThread, &usage)
        return Int(usage.ru_inblock)
    }
}
