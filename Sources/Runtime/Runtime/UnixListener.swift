import CShims
import Glibc

/// Accepts connections at a socket of the file system: for processes of this host that run as its owner.
public final class UnixListener: Sendable {
    private let path: String
    private let acceptor: Acceptor

    /// Listens, and hands every connection to the closure on the loop. The socket has mode 0600; one that a process left behind is
    /// replaced.
    ///
    /// - Parameters:
    ///   - path: of any length; the folder has to be there.
    ///   - backlog: connections that the kernel keeps until they are accepted.
    /// - Throws: `SystemError`; EADDRINUSE when another process listens there, or when something else than a socket is there.
    public static func listen(
        at path: String, loop: EventLoop, backlog: Int32 = 16,
        onAccept: @escaping @Sendable (ByteStream) -> Void
    ) throws(SystemError) -> UnixListener {
        var status = stat()
        if lstat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFSOCK, try !isListenedTo(path) else {
                throw SystemError("bind to \(path)", EADDRINUSE)
            }
            try FileSystem.remove(path)
        }
        let descriptor = try makeUnixSocket()
        // Nobody can connect before `listen`: the mode counts from the first connection on.
        guard (try withUnixAddress(path) { bind(descriptor, $0, $1) }) == 0, chmod(path, 0o600) == 0,
            Glibc.listen(descriptor, backlog) == 0
        else {
            let error = SystemError("bind to \(path)")
            Glibc.close(descriptor)
            throw error
        }
        let acceptor = Acceptor(descriptor: descriptor, loop: loop, onAccept: onAccept)
        acceptor.start()
        return UnixListener(path: path, acceptor: acceptor)
    }

    private init(path: String, acceptor: Acceptor) {
        self.path = path
        self.acceptor = acceptor
    }

    /// Stops accepting, and removes the socket. Connections that stand are not touched.
    public func close() {
        unlink(path)
        acceptor.stop()
    }

    private static func isListenedTo(_ path: String) throws(SystemError) -> Bool {
        let probe = try makeUnixSocket()
        defer { Glibc.close(probe) }
        // EAGAIN: somebody does, and is busy.
        return try withUnixAddress(path) { connect(probe, $0, $1) } == 0 || errno == EAGAIN
    }
}

extension ByteStream {
    /// Opens a connection to a socket of the file system. Called on the loop.
    ///
    /// - Throws: `SystemError`, as when nobody listens there.
    public static func connect(toUnixSocket path: String, on loop: EventLoop) throws(SystemError) -> ByteStream {
        let descriptor = try makeUnixSocket()
        guard (try withUnixAddress(path) { Glibc.connect(descriptor, $0, $1) }) == 0 else {
            let error = SystemError("connect to \(path)")
            Glibc.close(descriptor)
            throw error
        }
        return try ByteStream(adopting: descriptor, on: loop)
    }
}

private func makeUnixSocket() throws(SystemError) -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw SystemError("socket") }
    return descriptor
}

/// Calls the body with a path as the kernel takes it, which has room for 107 bytes: a longer path goes by its folder's descriptor.
private func withUnixAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) throws(SystemError) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    var text = path
    var folder: Int32 = -1
    defer { if folder >= 0 { Glibc.close(folder) } }
    if text.utf8.count >= room, let slash = path.lastIndex(of: "/") {
        folder = skerry_open_directory(String(path[...slash]))
        guard folder >= 0 else { throw SystemError("open \(path[...slash])") }
        text = "/proc/self/fd/\(folder)/" + path[path.index(after: slash)...]
    }
    guard text.utf8.count < room, !text.utf8.contains(0) else { throw SystemError("bind to \(path)", ENAMETOOLONG) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: text.utf8) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
}
