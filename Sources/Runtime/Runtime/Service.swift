package import Base
import CShims
import Glibc
import Synchronization

/// Something that runs for the life of a process, in the shape of swift-service-lifecycle.
package protocol Service: Sendable {
    /// Runs until the shutdown is requested, then stops taking new work, lets what is under way end, and returns.
    ///
    /// The task is cancelled when the drain takes longer than it may.
    func run(until shutdown: Shutdown) async throws
}

/// The request to end, seen by every service of a process.
package final class Shutdown: Sendable {
    private struct State {
        var isRequested = false
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    package var isRequested: Bool { state.withLock { $0.isRequested } }

    /// Requesting twice does nothing.
    package func request() {
        let waiters = state.withLock { state in
            state.isRequested = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the shutdown is requested or the task is cancelled.
    package func wait() async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    if state.isRequested || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}

/// Runs the services of a process: SIGTERM and SIGINT request the shutdown, a service that fails ends all.
///
/// The end has three stages, each bounded and logged: services end what is under way (graceful), then their tasks are cancelled,
/// then the process ends with status 1 whatever still runs (abort). Another signal begins the next stage at once.
package enum ServiceGroup {
    /// Must be called before any thread is started, so that every thread inherits the blocked signals.
    package static func blockSignals() {
        _ = skerry_block_signals()
    }

    /// Returns when every service has returned.
    ///
    /// - Parameters:
    ///   - drainTimeout: how long services may take to end before they are cancelled.
    ///   - cancelTimeout: how long they may take to end after that, before the process ends.
    /// - Throws: the error of the first service that failed.
    package static func run(
        _ services: [any Service], on loop: EventLoop, drainTimeout: Duration, cancelTimeout: Duration = .seconds(2),
        logger: Logger
    ) async throws {
        let shutdown = Shutdown()
        let impatience = Shutdown()
        let running = RunningServices(services)
        let signals = SignalSource(loop: loop) { count in
            switch count {
            case 1:
                logger.notice("shutting down", metadata: ["drain_timeout_ms": "\(drainTimeout.milliseconds)"])
                shutdown.request()
            case 2: impatience.request()
            default: abort(running, logger)
            }
        }
        loop.execute { signals.start() }
        defer { loop.execute { signals.stop() } }

        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, service) in services.enumerated() {
                group.addTask(executorPreference: loop) {
                    defer { running.ended(index) }
                    do {
                        try await service.run(until: shutdown)
                    } catch is CancellationError where shutdown.isRequested {}
                }
            }
            group.addTask(executorPreference: loop) {
                await shutdown.wait()
                if Task.isCancelled { return }
                try await loop.sleep(for: drainTimeout)
                throw DrainCutShort(reason: "the drain took too long")
            }
            group.addTask(executorPreference: loop) {
                await impatience.wait()
                if Task.isCancelled { return }
                throw DrainCutShort(reason: "asked to end a second time")
            }
            var ended = 0
            do {
                while ended < services.count, try await group.next() != nil {
                    ended += 1
                    if ended < services.count, !shutdown.isRequested { shutdown.request() }
                }
            } catch {
                let cut = error as? DrainCutShort
                logger.error(
                    "what is left is cut off",
                    metadata: ["reason": "\(cut?.reason ?? "a service failed")", "running": running.names])
                shutdown.request()
                group.cancelAll()
                loop.execute {
                    loop.schedule(after: cancelTimeout) {
                        if !running.names.isEmpty { abort(running, logger) }
                    }
                }
                while await group.nextResult() != nil {}
                if cut == nil { throw error }
            }
            group.cancelAll()
        }
    }

    private static func abort(_ running: RunningServices, _ logger: Logger) {
        logger.error("aborted", metadata: ["running": running.names])
        exit(1)
    }
}

private struct DrainCutShort: Error {
    let reason: String
}

/// Which services have not returned yet, for the log.
private final class RunningServices: Sendable {
    private let all: Mutex<[(index: Int, name: String)]>

    init(_ services: [any Service]) {
        all = Mutex(services.enumerated().map { ($0.offset, "\(type(of: $0.element))") })
    }

    var names: String { all.withLock { $0.map(\.name).joined(separator: ", ") } }

    func ended(_ index: Int) { all.withLock { $0.removeAll { $0.index == index } } }
}

/// SIGTERM and SIGINT as events of a loop.
///
/// `@unchecked Sendable`: used on the loop alone.
private final class SignalSource: DescriptorHandler, @unchecked Sendable {
    private let loop: EventLoop
    private let descriptor: Int32
    private let onSignal: @Sendable (_ count: Int) -> Void
    private var count = 0
    private var registration: Registration?

    init(loop: EventLoop, onSignal: @escaping @Sendable (Int) -> Void) {
        self.loop = loop
        self.onSignal = onSignal
        descriptor = skerry_signalfd()
    }

    deinit { Glibc.close(descriptor) }

    func start() {
        registration = try? loop.register(descriptor, [.readable], self)
        precondition(registration != nil, "signals cannot be watched")
    }

    func stop() {
        if let registration { loop.deregister(registration) }
        registration = nil
    }

    func descriptorIsReady(_ readiness: Readiness) {
        // As large as the kernel's signalfd_siginfo, of which nothing is needed but that it came.
        var information = InlineArray<128, UInt8>(repeating: 0)
        while read(descriptor, &information, MemoryLayout.size(ofValue: information)) > 0 {
            count += 1
            onSignal(count)
        }
    }
}
