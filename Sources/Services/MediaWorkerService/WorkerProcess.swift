import Glibc

/// A child process with one inherited descriptor and an empty environment. All calls but `kill` block for a moment.
struct WorkerProcess: Sendable {
    /// How it ended.
    enum Exit: Equatable {
        case code(Int32)
        case signal(Int32)
    }

    /// The descriptor's number in the child.
    private static let inherited: Int32 = 3

    let id: pid_t
    /// This side's end of the socket pair, non-blocking; whoever takes it closes it.
    let socket: Int32

    /// - Throws: `MediaWorkerError.notStarted`.
    static func start(_ path: String) throws(MediaWorkerError) -> WorkerProcess {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .notStarted(errno: errno)
        }
        defer { close(ends[1]) }
        let code = fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 ? 0 : errno
        let (id, failure) = code == 0 ? spawn(path, ends[1]) : (0, code)
        guard failure == 0 else {
            close(ends[0])
            throw .notStarted(errno: failure)
        }
        return WorkerProcess(id: id, socket: ends[0])
    }

    private static func spawn(_ path: String, _ socket: Int32) -> (pid_t, Int32) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Every other descriptor is marked close-on-exec; the worker closes what is not, before it reads its input.
        posix_spawn_file_actions_adddup2(&actions, socket, inherited)
        for standard in 0..<inherited {
            posix_spawn_file_actions_addopen(&actions, standard, "/dev/null", O_RDWR, 0)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // A group of its own: an interrupt from the terminal lets jobs end while the edge drains.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETPGROUP))

        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("media-worker"), strdup("\(inherited)"), nil]
        defer { for argument in arguments { free(argument) } }
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var id = pid_t()
        let result = posix_spawn(&id, path, &actions, &attributes, &arguments, &environment)
        return (id, result)
    }

    /// Must not be called after `reap` has begun: the number may be another's by then.
    func kill() {
        _ = Glibc.kill(id, SIGKILL)
    }

    /// Waits for the end of a process that is ending.
    func reap() -> Exit {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 {
            // Nobody else waits for it; without a child to wait for there is nothing to tell.
            guard errno == EINTR else { return .code(0) }
        }
        let signal = status & 0x7F
        return signal == 0 ? .code(status >> 8 & 0xFF) : .signal(signal)
    }
}
