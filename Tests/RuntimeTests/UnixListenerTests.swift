import Base
import Glibc
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct UnixListenerTests {
    private let folder = "/tmp/skerry-unix-\(UUID.v7(at: WallTime(seconds: 0)))"

    /// What the listener says to whoever connects.
    private func answer(at path: String, _ group: EventLoopGroup) async throws -> String {
        try await Task(executorPreference: group.loops[0]) {
            let stream = try ByteStream.connect(toUnixSocket: path, on: group.loops[0])
            defer { stream.close() }
            while try await stream.receive() {}
            return String(decoding: stream.inbound.take(stream.inbound.count), as: UTF8.self)
        }.value
    }

    private func listen(at path: String, saying text: String, _ group: EventLoopGroup) throws -> UnixListener {
        try UnixListener.listen(at: path, loop: group.loops[0]) { stream in
            stream.loop.spawn {
                try? await stream.send(Array(text.utf8))
                stream.close()
            }
        }
    }

    /// A short path, and one that is longer than the kernel's address has room for.
    @Test(arguments: ["a.sock", String(repeating: "folder/", count: 20) + "a.sock"])
    func `whoever may open the file is heard`(name: String) async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        let path = "\(folder)/\(name)"
        try FileSystem.makeDirectory(String(path.dropLast("/a.sock".count)))
        let listener = try listen(at: path, saying: "here", group)
        #expect(try FileSystem.mode(of: path) == 0o600)
        #expect(try await answer(at: path, group) == "here")
        #expect(throws: SystemError.self) { try self.listen(at: path, saying: "other", group) }
        listener.close()
        #expect(!FileSystem.exists(path))
        await #expect(throws: SystemError.self) { try await answer(at: path, group) }
        group.shutdown()
    }

    @Test func `a socket that was left behind is replaced, another file is not`() async throws {
        let group = try EventLoopGroup(count: 1, name: "test")
        try FileSystem.makeDirectory(folder)
        let path = "\(folder)/left.sock"
        // Bound and closed: the file stays.
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(descriptor)
        let listener = try listen(at: path, saying: "new", group)
        #expect(try await answer(at: path, group) == "new")
        listener.close()

        try FileSystem.replace(path, with: Array("a file".utf8))
        #expect(throws: SystemError.self) { try self.listen(at: path, saying: "over it", group) }
        #expect(FileSystem.exists(path))
        group.shutdown()
    }
}
