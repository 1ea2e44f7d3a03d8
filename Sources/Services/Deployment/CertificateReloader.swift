package import Base
import Glibc
package import Runtime
import Synchronization

/// Reads the certificates of a process again when their files change, and on SIGHUP. New connections get the new ones; files that
/// cannot be used change nothing.
package final class CertificateReloader: Service {
    /// What tells a file from the one that was there before.
    private struct Stamp: Equatable {
        var inode: UInt64 = 0
        var size: Int64 = 0
        var seconds = 0
        var nanoseconds = 0

        init(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return }
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            seconds = Int(status.st_mtim.tv_sec)
            nanoseconds = Int(status.st_mtim.tv_nsec)
        }
    }

    private struct State {
        /// Of the files when they were last read.
        var stamps: [Stamp]
        var isLooking = false
        var isAskedAgain = false
    }

    private let own: CertificateConfiguration
    private let named: [TLSConfiguration.Certificate]
    private let files: [String]
    private let loop: EventLoop
    private let logger: Logger
    private let apply: @Sendable (Certificates) throws -> Void
    private let expiries: [Gauge]
    private let reloads: Counter
    private let failures: Counter
    private let state: Mutex<State>

    /// - Parameters:
    ///   - loaded: what the process began with.
    ///   - apply: puts new certificates in the place of the old ones, or throws and leaves those. Not on a loop.
    package init(
        _ own: CertificateConfiguration, _ named: [TLSConfiguration.Certificate] = [], loaded: Certificates,
        loop: EventLoop, logger: Logger, metrics: MetricsRegistry,
        apply: @escaping @Sendable (Certificates) throws -> Void
    ) {
        self.own = own
        self.named = named
        files =
            [own.certificateFile, own.privateKeyFile, own.authorityFile]
            + named.flatMap { [$0.certificateFile, $0.privateKeyFile] }
        self.loop = loop
        self.logger = logger
        self.apply = apply
        expiries = ([own.certificateFile] + named.map(\.certificateFile)).map {
            metrics.gauge(
                "skerry_tls_certificate_expiry_seconds", "When the certificate ends, in seconds since 1970.",
                labels: ["file": $0.replacing("\\", with: "/").replacing("\"", with: "'")])
        }
        reloads = metrics.counter(
            "skerry_tls_certificate_reloads_total", "Times that certificates were replaced by those of newer files.")
        failures = metrics.counter(
            "skerry_tls_certificate_reload_failures_total", "Newer files of certificates that could not be used.")
        state = Mutex(State(stamps: files.map(Stamp.init)))
        show(loaded)
    }

    package func run(until shutdown: Shutdown) async throws {
        let pool = BlockingPool(threads: 1, name: "certificates", queueLimit: 4)
        defer { pool.shutdown() }
        let signal = ReloadSignal(loop: loop) { [self] in loop.spawn { await self.look(on: pool, isAsked: true) } }
        signal.start()
        let looking = loop.spawn { [self] in
            while (try? await loop.sleep(for: .milliseconds(own.reloadIntervalMs))) != nil {
                await look(on: pool, isAsked: false)
            }
        }
        await shutdown.wait()
        looking.cancel()
        signal.stop()
    }

    /// - Parameter isAsked: whether files are read that have not changed.
    private func look(on pool: BlockingPool, isAsked: Bool) async {
        let isBusy = state.withLock { state in
            if state.isLooking { state.isAskedAgain = state.isAskedAgain || isAsked }
            defer { state.isLooking = true }
            return state.isLooking
        }
        if isBusy { return }
        var isAsked = isAsked
        repeat {
            do {
                try await pool.run { [isAsked] in try self.reload(isAsked: isAsked) }
            } catch {
                failures.increment()
                logger.error(
                    "new certificate files cannot be used, the old certificates stay; correct the files, they are read again "
                        + "when they change or on SIGHUP",
                    metadata: ["error": "\(error)"])
            }
            isAsked = state.withLock { state in
                defer { state.isAskedAgain = false }
                state.isLooking = state.isAskedAgain
                return state.isAskedAgain
            }
        } while isAsked
    }

    private func reload(isAsked: Bool) throws {
        // Before the files are read: what changes meanwhile is seen the next time.
        let stamps = files.map(Stamp.init)
        let hasChanged = state.withLock { state in
            defer { state.stamps = stamps }
            return state.stamps != stamps
        }
        guard hasChanged || isAsked else { return }
        let fresh = try Certificates.load(own, named)
        try apply(fresh)
        reloads.increment()
        show(fresh)
        logger.notice("certificates replaced", metadata: ["files": "\(files.count)"])
    }

    private func show(_ certificates: Certificates) {
        for (gauge, certificate) in zip(expiries, [certificates.own] + certificates.named) {
            gauge.set(certificate.expirySeconds ?? 0)
        }
    }
}
