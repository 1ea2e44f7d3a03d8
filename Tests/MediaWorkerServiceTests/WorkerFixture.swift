import Base
import Glibc
import MediaWorkerService
import Runtime
import Synchronization

/// A pool with loops of its own, closed when the body returns.
@discardableResult
func withPool<Result>(
    _ configure: (inout MediaWorkerPool.Configuration) -> Void = { _ in },
    _ body: (MediaWorkerPool, MetricsRegistry) async throws -> Result
) async throws -> Result {
    var configuration = MediaWorkerPool.Configuration()
    configure(&configuration)
    let loops = try EventLoopGroup(count: 2, name: "test")
    let metrics = MetricsRegistry()
    let logger = Logger(label: "test", sink: SilentLogSink())
    let pool = MediaWorkerPool(configuration: configuration, loops: loops, logger: logger, metrics: metrics)
    func end() async {
        await pool.close()
        loops.shutdown()
    }
    do {
        let result = try await body(pool, metrics)
        await end()
        return result
    } catch {
        await end()
        throw error
    }
}

extension WorkerInput {
    init(_ bytes: [UInt8]) {
        self.init(size: Int64(bytes.count)) { offset, count in Array(bytes[Int(offset)..<(Int(offset) + count)]) }
    }

    /// Says when it is first asked, and answers when the gate opens.
    init(_ bytes: [UInt8], gate: Gate) {
        self.init(size: Int64(bytes.count)) { offset, count in
            await gate.pass()
            return Array(bytes[Int(offset)..<(Int(offset) + count)])
        }
    }
}

/// Holds whoever passes until it is opened, and tells when somebody stands before it.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var hasVisitor = false
        var held: [CheckedContinuation<Void, Never>] = []
        var watchers: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func pass() async {
        await withCheckedContinuation { continuation in
            let (isOpen, watchers) = state.withLock { state in
                state.hasVisitor = true
                if !state.isOpen { state.held.append(continuation) }
                defer { state.watchers = [] }
                return (state.isOpen, state.watchers)
            }
            for watcher in watchers { watcher.resume() }
            if isOpen { continuation.resume() }
        }
    }

    func visitor() async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if !state.hasVisitor { state.watchers.append(continuation) }
                return state.hasVisitor
            }
            if isThere { continuation.resume() }
        }
    }

    func open() {
        let held = state.withLock { state in
            state.isOpen = true
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }
}

/// Child processes of this one, by their numbers, zombies included.
func children(named name: String = "media-worker") throws -> [pid_t] {
    guard let folder = opendir("/proc") else { return [] }
    defer { closedir(folder) }
    var found: [pid_t] = []
    while let entry = readdir(folder) {
        let number = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { pid_t(String(cString: $0)) }
        }
        guard let number, let status = Tool.contents(of: "/proc/\(number)/stat") else { continue }
        let text = String(decoding: status, as: UTF8.self)
        guard text.contains("(\(name))"), let end = text.lastIndex(of: ")") else { continue }
        let fields = text[text.index(end, offsetBy: 2)...].split(separator: " ")
        if fields.count > 1, fields[1] == "\(getpid())" { found.append(number) }
    }
    return found
}

/// The lines of /proc/PID/status.
func status(of process: pid_t) throws -> [String: String] {
    var lines: [String: String] = [:]
    for line in String(decoding: try Tool.read(file: "/proc/\(process)/status"), as: UTF8.self).split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        if parts.count == 2 {
            lines[String(parts[0])] = String(parts[1].drop { $0 == "\t" || $0 == " " })
        }
    }
    return lines
}
