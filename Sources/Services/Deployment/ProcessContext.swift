package import Base
package import ConfigurationFile
import Glibc
package import Runtime

/// What every process of a deployment has: loops, a log, metrics.
package struct ProcessContext: Sendable {
    package let name: String
    package let loops: EventLoopGroup
    package let logger: Logger
    package let metrics: MetricsRegistry

    /// The loop of what there is one of in a process: signals, timers, the admin address.
    package var mainLoop: EventLoop { loops.loops[0] }
}

/// A configuration that a process can be started from.
package protocol ProcessConfigurable: Sendable {
    var process: ProcessConfiguration { get }
    static func load(_ path: String) throws(ConfigurationError) -> Self
}

extension NodeConfiguration: ProcessConfigurable {}
extension CentralConfiguration: ProcessConfigurable {}

/// The services of a process, joined.
package protocol Assembly: Sendable {
    var services: [any Service] { get }
    /// Ends what outlives the services: threads, stores.
    func close()
}

/// The life of a process: reads the configuration that `--config` names, runs the services until SIGTERM, and ends.
///
/// Exit codes: 0 after a clean end, 1 when a service failed or did not end, 2 for wrong usage or a wrong configuration.
///
/// - Important: called on the main thread, before there is any other. It is no `async` function: an asynchronous `main` parks
///   the main thread in Dispatch, which lets through the signals that are blocked here.
package func runProcess<Configuration: ProcessConfigurable>(
    _ name: String, _: Configuration.Type,
    _ assemble: @escaping @Sendable (Configuration, ProcessContext) async throws -> any Assembly
) -> Never {
    ServiceGroup.blockSignals()
    ReloadSignal.block()
    DescriptorLimit.raise()
    let configuration: Configuration = readConfiguration(name)
    let logger = Logger(label: name, level: configuration.process.logLevel, sink: StandardErrorLogSink())
    let loops: EventLoopGroup
    do {
        let process = configuration.process
        loops = try EventLoopGroup(
            count: process.eventLoops == 0 ? EventLoopGroup.processorCount : process.eventLoops, name: "loop",
            fileReads: FileReads(threads: process.fileReadThreads, maxWaiting: process.maxWaitingFileReads))
    } catch {
        complain("no event loops: \(error)")
        exit(1)
    }
    let context = ProcessContext(name: name, loops: loops, logger: logger, metrics: MetricsRegistry())
    loops.register(in: context.metrics)
    loops.watch(threshold: .milliseconds(configuration.process.loopStallMs), logger: logger.child("loops"))
    context.mainLoop.spawn {
        do {
            let assembly = try await assemble(configuration, context)
            try await ServiceGroup.run(
                assembly.services, on: context.mainLoop,
                drainTimeout: .milliseconds(configuration.process.drainTimeoutMs),
                cancelTimeout: .milliseconds(configuration.process.cancelTimeoutMs), logger: logger)
            // Threads are waited for, and one of them may hang: in the resolver, on a disk.
            let closer = BlockingPool(threads: 1, name: "closer", queueLimit: 1)
            try closer.submit {
                assembly.close()
                logger.notice("ended")
                exit(0)
            }
            context.mainLoop.schedule(after: .milliseconds(configuration.process.cancelTimeoutMs)) {
                logger.error("aborted", metadata: ["running": "threads"])
                exit(1)
            }
        } catch {
            logger.error("cannot go on", metadata: ["error": "\(error)"])
            exit(1)
        }
    }
    while true { pause() }
}

private func readConfiguration<Configuration: ProcessConfigurable>(_ name: String) -> Configuration {
    let usage = "usage: \(name) --config FILE   (a commented sample: edge-config/\(name).sample.yaml)"
    let arguments = CommandLine.arguments.dropFirst()
    if arguments == ["--help"] || arguments == ["-h"] {
        print(usage)
        exit(0)
    }
    guard arguments.count == 2, arguments.first == "--config", let path = arguments.last else {
        complain(usage)
        exit(2)
    }
    do {
        return try Configuration.load(path)
    } catch {
        complain("\(error)")
        exit(2)
    }
}

private func complain(_ text: String) {
    var bytes = Array((text + "\n").utf8)
    bytes.withUnsafeMutableBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
