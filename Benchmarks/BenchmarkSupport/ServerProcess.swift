import Glibc

/// A child process whose processor time is read. It ends with this object, or with us.
package final class ServerProcess {
    package let pid: Int32
    private let output: Int32
    private var hasEnded = false

    /// - Parameters:
    ///   - command: with its arguments; found on the PATH.
    ///   - processor: the only one that it may use; nil for those that this process may use.
    ///   - showsErrors: whether its standard error is ours; else it goes nowhere.
    package init(_ command: [String], processor: Int32?, showsErrors: Bool = false) throws {
        let launcher =
            ["setpriv", "--pdeathsig", "KILL"] + (processor.map { ["taskset", "-c", "\($0)"] } ?? []) + command
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw BenchError("no pipe") }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_addclose(&actions, ends[1])
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        if !showsErrors { posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) }
        var arguments: [UnsafeMutablePointer<CChar>?] = launcher.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let spawned = posix_spawnp(&pid, launcher[0], &actions, nil, &arguments, environ)
        close(ends[1])
        guard spawned == 0 else {
            close(ends[0])
            throw BenchError("\(launcher[0]) cannot be started")
        }
        self.pid = pid
        output = ends[0]
    }

    deinit {
        if !hasEnded {
            kill(pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        close(output)
    }

    /// Where this program lies.
    package static var ownPath: String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// What it printed first, or next; nil when it ended without.
    package func firstLine() -> String? {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }

    /// What it prints from here until it ends, and the exit status; -1 when a signal ended it.
    package func finish() -> (output: String, status: Int32) {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(output, &buffer, buffer.count)
            if count <= 0 { break }
            text += buffer[..<count]
        }
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        hasEnded = true
        return (String(decoding: text, as: UTF8.self), status & 0x7F == 0 ? status >> 8 & 0xFF : -1)
    }

    /// Time on a processor of all its threads so far, user and system, as the scheduler counts it.
    package func processorNanoseconds() throws -> UInt64 {
        let tasks = names(in: "/proc/\(pid)/task")
        guard !tasks.isEmpty else { throw BenchError("the server has ended") }
        return tasks.reduce(0) { total, task in
            let fields = Self.contents(of: "/proc/\(pid)/task/\(task)/schedstat")?.split(separator: " ")
            return total + (fields?.first.flatMap { UInt64($0) } ?? 0)
        }
    }

    /// Its own memory: pages that are no file's.
    package func anonymousBytes() throws -> Int {
        let lines = (Self.contents(of: "/proc/\(pid)/smaps_rollup") ?? "").split(separator: "\n")
        let words = lines.first { $0.hasPrefix("Anonymous:") }?.split(separator: " ") ?? []
        guard words.count > 1, let kilobytes = Int(words[1]) else {
            throw BenchError("the server's memory is not known")
        }
        return kilobytes * 1024
    }

    /// A small file, of /proc for one; nil when it cannot be read.
    package static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
}
