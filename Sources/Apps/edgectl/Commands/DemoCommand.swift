import Base
import Runtime

enum DemoCommand {
    private static let keep = Parameter<Bool>.flag("--keep", "leave the folder with media, data and logs")

    static let command = Command(
        name: "demo", summary: "Do the main job once against a start of its own, and show what was seen.",
        discussion: """
            Uploads a photo and a video (cut and resumed), fetches them at the other edge, fetches thumbnails, holds a relayed
            call, passes messages to somebody who is away, and posts a status that ends. Needs the ffmpeg command. Fails if
            anything is not right.
            """,
        parameters: [keep.declaration],
        ownsSignals: true
    ) { invocation, context in
        let folder = try TemporaryFolder.make()
        defer {
            if invocation[keep] {
                Terminal.printError("kept: \(folder)")
            } else {
                TemporaryFolder.remove(folder)
            }
        }
        try await runUntilSignal(on: context.loop) { shutdown in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: context.loop) { try await demonstrate(in: folder, context) }
                group.addTask(executorPreference: context.loop) {
                    await shutdown.wait()
                    if shutdown.isRequested { throw CommandFailure("interrupted") }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    private static func demonstrate(in folder: String, _ context: CommandContext) async throws {
        guard
            let offset = stride(from: 0, through: DevelopmentPorts.maxOffset, by: 100).first(where: {
                DevelopmentPorts(edges: 2, offset: $0).firstInUse() == nil
            })
        else { throw CommandFailure("no free ports: every offset up to \(DevelopmentPorts.maxOffset) has some in use") }
        let start = DevelopmentStart(
            folder: DevelopmentFolder(path: folder + "/var"), edges: 2, portOffset: offset, usesTLS: false,
            context: context)
        let report = DemoReport()
        try await DevCommand.withProcesses(context) { processes in
            let began = MonotonicClock.now()
            let file = await report.step("start edge-central and two edge-nodes") {
                () -> (seen: String, made: DevelopmentFile) in
                let file = try await start.run(processes)
                return ("ports moved by \(offset); edges enrolled with one-time tokens", file)
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
