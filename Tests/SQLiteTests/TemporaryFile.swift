import Base
import Glibc

/// A path that no other test has, with what stands there removed at the end.
final class TemporaryFile: Sendable {
    let path: String

    init() { path = "/tmp/skerry-sqlite-\(UUID.v7(at: WallTime(milliseconds: Int64(time(nil)) * 1000))).db" }

    deinit {
        for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
    }
}

/// The bytes of a file; none if it is not there.
func readAll(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return output }
        output.append(contentsOf: buffer[..<count])
    }
}
