import Base
import Runtime

enum DemoCommand {
    private static let folder = Parameter<String>.optional(
        "--var", .text("DIR"), "keep media, data and logs there (default: a folder that goes at the end)")
    private static let edges = Parameter<Int>.option(
        "--edges", .count("K", in: 2...DevelopmentPorts.maxEdges), "edge-nodes to start", default: 2, shownAs: "2")
    private static let portOffset = Parameter<Int>.optional(
        "--port-offset", .hundreds, "is added to every port: a multiple of 100 (default: the first that is free)")

    static let command = Command(
        name: "demo", summary: "Do the main job once against a start of its own, and show what was seen.",
        discussion: """
            Uploads a photo and a video (cut and resumed), fetches them at the other edge, fetches thumbnails, holds a relayed
            call, passes messages to somebody who is away, and posts a status that ends. Needs the ffmpeg command. Fails if
            anything is not right.
            """,
        parameters: [
            folder.declaration, edges.declaration, portOffset.declaration, DevCommand.tls.declaration,
        ],
        ownsSignals: true
    ) { invocation, context in
        let given = invocation[folder].map(absolutePath)
        if let given { try FileSystem.makeDirectory(given) }
        let folder = try given ?? TemporaryFolder.make()
        defer {
            if given == nil { TemporaryFolder.remove(folder) }
        }
        guard let offset = invocation[portOffset] ?? firstFreeOffset(edges: invocation[edges]) else {
            throw CommandFailure("no free ports: every offset up to \(DevelopmentPorts.maxOffset) has some in use")
        }
        let start = DevelopmentStart(
            folder: DevelopmentFolder(path: given ?? folder + "/var"), edges: invocation[edges], portOffset: offset,
            usesTLS: invocation[DevCommand.tls], context: context)
        try await runUntilSignal(on: context.loop) { shutdown in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: context.loop) { try await demonstrate(start, in: folder, context) }
                group.addTask(executorPreference: context.loop) {
                    await shutdown.wait()
                    if shutdown.isRequested { throw CommandFailure("interrupted") }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    private static func firstFreeOffset(edges: Int) -> Int? {
        stride(from: 0, through: DevelopmentPorts.maxOffset, by: 100).first {
            DevelopmentPorts(edges: edges, offset: $0).firstInUse() == nil
        }
    }

    private static func demonstrate(
        _ start: DevelopmentStart, in folder: String, _ context: CommandContext
    ) async throws {
        let report = DemoReport()
        try await DevCommand.withProcesses(context) { processes in
            let began = MonotonicClock.now()
            let file = await report.step("start edge-central and \(start.edges) edge-nodes") {
                () -> (seen: String, made: DevelopmentFile) in
                let file = try await start.run(processes)
                return (
                    "ports moved by \(start.portOffset); \(start.usesTLS ? "https" : "edges enrolled with one-time tokens")",
                    file
                )
            }
            if let file {
                await Demo(connection: Connection(file, context), folder: folder, context: context, report: report)
                    .run()
            }
            await report.step("stop") {
                await processes.stop()
                let endings = processes.allEndings
                try require(
                    endings.allSatisfy { $0.ending == .exited(0) },
                    "not all ended well: " + endings.map { "\($0.name) \($0.ending)" }.joined(separator: ", "))
                return "\(endings.count) processes drained and ended with status 0"
            }
            Terminal.print("\n\(report.table())\n\nin \(formatDuration(MonotonicClock.now() - began))")
        }
        guard report.isRight else { throw CommandFailure("not everything was right") }
        Terminal.print("everything was right")
    }
}
