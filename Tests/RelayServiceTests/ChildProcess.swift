import Base
import Glibc
import Runtime

/// A program that a test starts, with all that it prints.
struct ChildProcess {
    let status: Int32
    let output: String

    /// Whether the program is on this machine.
    static func isInstalled(_ program: String) -> Bool { access("/usr/bin/\(program)", X_OK) == 0 }

    /// Runs `/usr/bin/<program>` to its end.
    static func run(_ program: String, _ arguments: [String], pool: BlockingPool) async throws -> ChildProcess {
        try await pool.run { try runBlocking("/usr/bin/\(program)", arguments) }
    }

    private static func runBlocking(_ path: String, _ arguments: [String]) throws -> ChildProcess {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw EdgeError(.io, "pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var list: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for argument in list { free(argument) } }
        var process: pid_t = 0
        let spawned = posix_spawn(&process, path, &actions, nil, &list, nil)
        close(ends[1])
        guard spawned == 0 else { throw EdgeError(.io, "cannot start \(path)") }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(ends[0], &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        var status: Int32 = 0
        waitpid(process, &status, 0)
        return ChildProcess(status: status, output: String(decoding: bytes, as: UTF8.self))
    }
}
