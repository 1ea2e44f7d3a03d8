import Base
import Glibc
import Runtime
import Synchronization

enum DevCommand {
    static let edges = Parameter<Int>.option(
        "--edges", .count("K", in: 1...DevelopmentPorts.maxEdges), "edge-nodes to start", default: 2, shownAs: "2")
    static let folder = Parameter<String>.option(
        "--var", .text("DIR"), "keys, data, logs, configurations; a later start goes on with them", default: "var",
        shownAs: "var")
    static let portOffset = Parameter<Int>.option(
        "--port-offset", .hundreds, "is added to every port: a multiple of 100", default: 0, shownAs: "0")
    static let tls = Parameter<Bool>.flag("--tls", "https on the edges' public ports, certified by the development CA")

    static let command = Command(
        name: "dev", summary: "Start a central and edges on this host, with keys and tokens of their own.",
        discussion: """
            Makes a certificate authority, enrols the edges with the central, and writes DIR/dev.json when all are ready;
            tokens in it are good for a day. Ends with Ctrl-C.
            """,
        parameters: [edges.declaration, folder.declaration, portOffset.declaration, tls.declaration],
        ownsSignals: true
    ) { invocation, context in
        let start = DevelopmentStart(
            folder: DevelopmentFolder(path: absolutePath(invocation[folder])), edges: invocation[edges],
            portOffset: invocation[portOffset], usesTLS: invocation[tls], context: context)
        try await runUntilSignal(on: context.loop) { shutdown in
            try await withProcesses(context) { processes in
                Terminal.printError("starting edge-central and \(start.edges) edge-nodes …")
                let file = try await start.run(processes)
                Terminal.print(describe(file, start.folder))
                await shutdown.wait()
                Terminal.printError("\nstopping …")
                // It says what runs; a later start must not be taken for ready by it.
                try await context.pool.run { try FileSystem.remove(start.folder.file) }
            }
        }
    }

    /// Runs the body with processes that are stopped when it ends, however it ends.
    static func withProcesses(
        _ context: CommandContext, _ body: (DevelopmentProcesses) async throws -> Void
    ) async throws {
        let processes = DevelopmentProcesses(loop: context.loop) { child, ending in
            Terminal.printError("\(child.name) (pid \(child.identifier)) died: \(ending). The others go on.")
        }
        do {
            try await body(processes)
        } catch {
            await processes.stop()
            throw error
        }
        await processes.stop()
    }

    private static func describe(_ file: DevelopmentFile, _ folder: DevelopmentFolder) -> String {
        var lines = ["", "ready:", "  edge-central  \(file.central.api)  pid \(file.central.pid)"]
        for edge in file.edges {
            lines.append("  \(edge.name)        \(edge.http)  turn \(edge.turn)  pid \(edge.pid)")
        }
        lines += [
            "  dev.json      \(folder.file)", "  logs          \(folder.path)/logs", "",
            "alice's token, good for a day:",
            file.token(of: "alice") ?? "", "", "Ctrl-C stops everything.",
        ]
        return lines.joined(separator: "\n")
    }
}

/// Runs the body; SIGINT and SIGTERM request the shutdown that it is given, and a second one ends the process.
func runUntilSignal(
    on loop: EventLoop, _ body: @escaping @Sendable (Shutdown) async throws -> Void
) async throws {
    struct Body: Service {
        let body: @Sendable (Shutdown) async throws -> Void

        func run(until shutdown: Shutdown) async throws { try await body(shutdown) }
    }
    // Longer than the processes may take to drain, one after the other.
    try await ServiceGroup.run(
        [Body(body: body)], on: loop, drainTimeout: .seconds(60),
        logger: Logger(label: "edgectl", sink: SilentLogSink()))
}

func absolutePath(_ path: String) -> String {
    if path.hasPrefix("/") { return path }
    guard let current = getcwd(nil, 0) else { return path }
    defer { free(current) }
    return String(cString: current) + "/" + path
}

extension ValueForm where Value == Int {
    static let hundreds = ValueForm(
        placeholder: "N", allowed: "a multiple of 100, at most \(DevelopmentPorts.maxOffset)"
    ) { text in
        Int(text).flatMap { (0...DevelopmentPorts.maxOffset).contains($0) && $0 % 100 == 0 ? $0 : nil }
    }
}
