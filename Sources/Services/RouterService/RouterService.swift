package import Base
import Crypto
import RouterEngine
package import Runtime
import SQLite
import Synchronization
package import Tokens
package import UplinkService
package import Wire

/// The central: inboxes, calls, statuses and the media directory, for the edges that are linked to it.
///
/// Decisions are the engines' (`RouterEngine`); this puts them on the disk and on the links. A frame is answered after its
/// commit, and deliveries leave in the order of the commits.
package final class RouterService: UplinkHandler, Service {
    let configuration: Configuration
    let verifier: TokenVerifier
    let signedPathKeys: [SignedPathKey]
    let writer: DatabaseWriter
    let readers: DatabaseReaders
    let vault: KeyVault
    let hub: SessionHub
    let metrics: RouterMetrics
    let logger: Logger
    let now: @Sendable () -> WallTime
    let inboxEngine: InboxEngine
    let registration: DeviceRegistration
    let statusEngine: StatusEngine
    let waiters: DerivativeWaiters
    private let loop: EventLoop
    private let due: DueRelay
    let deadlines: Deadlines

    /// Opens the database, brings its schema up to date, and reads the root key. Blocks on the disk.
    ///
    /// - Parameters:
    ///   - loop: where timers run.
    ///   - now: the central's clock; tests move it.
    package init(
        configuration: Configuration, loop: EventLoop, verifier: TokenVerifier, signedPathKeys: [SignedPathKey],
        logger: Logger, metrics registry: MetricsRegistry, now: @escaping @Sendable () -> WallTime = WallClock.now
    ) throws {
        self.configuration = configuration
        self.loop = loop
        self.verifier = verifier
        self.signedPathKeys = signedPathKeys
        self.logger = logger
        self.now = now
        vault = try KeyVault(path: configuration.rootKeyPath, creates: configuration.createsRootKey)
        writer = try DatabaseWriter(
            path: configuration.databasePath, migrations: Schema.migrations, configuration: configuration.writer)
        readers = try DatabaseReaders(path: configuration.databasePath, configuration: configuration.readers)
        metrics = RouterMetrics(registry)
        hub = SessionHub(calls: configuration.calls, maxSessions: configuration.maxSessions, metrics: metrics)
        inboxEngine = InboxEngine(configuration: configuration.inbox)
        registration = DeviceRegistration(configuration: configuration.registration)
        statusEngine = StatusEngine(configuration: configuration.status)
        waiters = DerivativeWaiters(limit: configuration.maxDerivativeWaits, loop: loop)
        let due = DueRelay()
        self.due = due
        deadlines = Deadlines(loop: loop, now: now) { due.isDue($0) }
        let writer = writer
        registry.computed("skerry_router_queued_writes", "Writes that wait for the disk.") {
            Double(writer.queuedWrites)
        }
        registry.computed("skerry_router_commits", "Transactions committed.") { Double(writer.commits.value) }
        registry.computed("skerry_router_writes", "Writes committed.") { Double(writer.writes.value) }
        due.attach { [weak self] in self?.isDue($0) }
    }

    /// Arms the timers and finishes what an earlier process left undone.
    package func start() {
        deadlines.set(.outbox, at: now())
        deadlines.set(.statuses, at: now())
        deadlines.set(.media, at: now())
        deadlines.set(.sweep, at: now())
        deadlines.set(.logTruncation, at: now())
    }

    /// Commits what is queued and closes the database. Links are closed by the uplink server before.
    package func stop() {
        deadlines.stop()
        waiters.cancelAll()
        // The writer last: whoever closes a database last moves its log into the file.
        readers.close()
        writer.close()
    }

    package func run(until shutdown: Shutdown) async throws {
        start()
        await shutdown.wait()
        stop()
    }

    /// Looks at the clock now. Tests call it after moving theirs.
    package func checkDeadlines() { deadlines.check() }

    private func isDue(_ key: Deadlines.Key) {
        switch key {
        case .session(let id): expireToken(of: id)
        case .calls:
            if let next = hub.expireCalls(now: now()) { deadlines.set(.calls, at: next) }
        case .statuses: expireStatuses()
        case .media: expireMedia()
        case .sweep: sweep()
        case .logTruncation: truncateLog()
        case .outbox: applyOutbox {}
        }
    }

    // MARK: UplinkHandler

    package func linkIsUp(_ link: UplinkLink) {
        hub.add(link)
        sendOutstandingPurges(to: link)
    }

    package func linkIsDown(_ link: UplinkLink) {
        for id in hub.remove(link) { deadlines.cancel(.session(id)) }
    }

    package func handle(_ request: UplinkRequest, from link: UplinkLink) async -> UplinkResponse {
        do {
            switch request {
            case .sessionOpen(let open): return .sessionOpened(try await openSession(open, link))
            case .mediaRegister(let register): return .mediaRegistered(try await registerMedia(register, link))
            case .mediaLookup(let lookup): return .mediaFound(try await lookUpMedia(lookup, link))
            case .mediaGrant(let grant):
                try await grantMedia(grant)
                return .ok
            case .mediaRelease(let release):
                try await releaseMedia(release)
                return .ok
            case .hello, .ping: return .failed(UplinkFailure(.invalid, "hello and ping belong to the link itself"))
            }
        } catch let error as EdgeError where error.side == .internal {
            // Our own fault is nobody's refusal: whoever asked tries again.
            if error.kind != .exhausted { logFailure("a request failed", error) }
            let kind = error.kind == .closed ? .unavailable : error.kind
            return .failed(UplinkFailure(kind, error.message, retryAfterMilliseconds: 1000))
        } catch let error as EdgeError {
            return .failed(
                UplinkFailure(error.kind, error.message, retryAfterMilliseconds: error.isRetryable ? 1000 : nil))
        } catch {
            logger.error("a request failed", metadata: ["error": "\(error)"])
            return .failed(UplinkFailure(.io, "the central failed", retryAfterMilliseconds: 1000))
        }
    }

    /// A database that is closed is a shutdown, which is nobody's failure.
    func logFailure(_ message: String, _ error: EdgeError) {
        if error.kind != .closed { logger.error(message, metadata: ["error": "\(error)"]) }
    }

    package func handle(_ notice: EdgeNotice, from link: UplinkLink) async {
        switch notice {
        case .sessionFrame(let session, let frame):
            received(frame, SessionID(link: link.id, session: session))
        case .sessionClose(let close):
            let id = SessionID(link: link.id, session: close.session)
            deadlines.cancel(.session(id))
            hub.close(id)
        case .mediaHold(let object, let holds): holdMedia(object, holds: holds, link)
        }
    }
}

/// Lets the deadlines, which the service owns, call the service, which is not there yet when they are made.
///
/// `Sendable` by its lock.
private final class DueRelay: Sendable {
    private let target = Mutex<(@Sendable (Deadlines.Key) -> Void)?>(nil)

    func attach(_ target: @escaping @Sendable (Deadlines.Key) -> Void) { self.target.withLock { $0 = target } }
    func isDue(_ key: Deadlines.Key) { target.withLock { $0 }?(key) }
}
