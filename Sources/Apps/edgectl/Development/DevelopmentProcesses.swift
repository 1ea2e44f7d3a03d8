import Base
import Glibc
import Runtime
import Synchronization

/// The processes of a development start: watched until they end, stopped in order.
final class DevelopmentProcesses: Sendable {
    static let central = "edge-central"
    /// How long a process may take to drain before it is killed.
    static let drainTimeout = Duration.seconds(15)

    private struct State {
        var running: [pid_t: ChildProcess] = [:]
        var endings: [pid_t: (name: String, ending: ChildProcess.Ending)] = [:]
        /// Until then whoever starts a process looks at its ending.
        var isUp = false
        var isStopping = false
    }

    private let loop: EventLoop
    private let waiters: BlockingPool
    private let state = Mutex(State())
    /// Told of a process that ends before it was asked to.
    private let onDeath: @Sendable (ChildProcess, ChildProcess.Ending) -> Void

    init(loop: EventLoop, onDeath: @escaping @Sendable (ChildProcess, ChildProcess.Ending) -> Void) {
        self.loop = loop
        self.onDeath = onDeath
        let most = DevelopmentPorts.maxEdges + 1
        waiters = BlockingPool(threads: most, name: "children", queueLimit: most)
    }

    func start(name: String, executable: String, arguments: [String], logPath: String) throws -> ChildProcess {
        let child = try ChildProcess.spawn(name: name, executable: executable, arguments: arguments, logPath: logPath)
        state.withLock { $0.running[child.identifier] = child }
        loop.spawn { [self] in
            guard let ending = try? await waiters.run({ child.waitBlocking() }) else { return }
            let isUnexpected = state.withLock { state in
                state.running[child.identifier] = nil
                state.endings[child.identifier] = (child.name, ending)
                return state.isUp && !state.isStopping
            }
            if isUnexpected { onDeath(child, ending) }
        }
        return child
    }

    /// Everything is started: tell of deaths from now on.
    func announceDeaths() { state.withLock { $0.isUp = true } }

    /// How it ended, if it has.
    func ending(of child: ChildProcess) -> ChildProcess.Ending? {
        state.withLock { $0.endings[child.identifier]?.ending }
    }

    /// Of all that have ended.
    var allEndings: [(name: String, ending: ChildProcess.Ending)] {
        state.withLock { Array($0.endings.values) }
    }

    /// Asks the edges to drain, then the central, since draining needs it; kills what does not end in time. Goes on to its
    /// end in a task that was cancelled, too.
    func stop() async {
        await loop.spawn { [self] in await drain() }.value
    }

    private func drain() async {
        state.withLock { $0.isStopping = true }
        for isCentral in [false, true] {
            let asked = state.withLock { $0.running.values.filter { ($0.name == Self.central) == isCentral } }
            for child in asked { child.send(signal: SIGTERM) }
            await waitForEnd(of: asked, timeout: Self.drainTimeout)
            for child in asked where ending(of: child) == nil {
                Terminal.printError("\(child.name) does not drain within \(formatDuration(Self.drainTimeout)): killed")
                child.send(signal: SIGKILL)
            }
            await waitForEnd(of: asked, timeout: .seconds(5))
        }
    }

    private func waitForEnd(of children: [ChildProcess], timeout: Duration) async {
        let deadline = loop.now + timeout
        while children.contains(where: { ending(of: $0) == nil }), loop.now < deadline {
            try? await loop.sleep(for: .milliseconds(10))
        }
    }
}
