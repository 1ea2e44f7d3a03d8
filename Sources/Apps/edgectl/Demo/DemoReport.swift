import Base
import Runtime

/// The steps of the demo: what each saw, how long it took, and whether it was right.
final class DemoReport {
    private struct Row {
        let name: String
        let seen: String
        let took: Duration
        let isRight: Bool
    }

    private var rows: [Row] = []

    /// Runs a step. One that throws is wrong; the demo goes on with what does not need it.
    ///
    /// - Returns: what the body made, or nil.
    @discardableResult
    func step<Made>(_ name: String, _ body: () async throws -> (seen: String, made: Made)) async -> Made? {
        let start = MonotonicClock.now()
        do {
            let (seen, made) = try await body()
            add(Row(name: name, seen: seen, took: MonotonicClock.now() - start, isRight: true))
            return made
        } catch {
            add(Row(name: name, seen: "\(error)", took: MonotonicClock.now() - start, isRight: false))
            return nil
        }
    }

    /// A step that makes nothing for others.
    func step(_ name: String, _ body: () async throws -> String) async {
        await step(name) { (seen: try await body(), made: ()) }
    }

    /// A step that cannot be done because an earlier one failed.
    func skip(_ name: String, _ why: String) {
        add(Row(name: name, seen: "not done: \(why)", took: .zero, isRight: false))
    }

    var isRight: Bool { !rows.isEmpty && rows.allSatisfy(\.isRight) }

    func table() -> String {
        var table = TextTable(["", "what", "took", "seen"])
        table.rows = rows.map { [$0.isRight ? "ok" : "WRONG", $0.name, formatDuration($0.took), $0.seen] }
        return table.render()
    }

    private func add(_ row: Row) {
        rows.append(row)
        Terminal.printError("\(row.isRight ? "ok   " : "WRONG") \(row.name): \(row.seen)")
    }
}

/// Something that the demo saw is not as it must be.
func require(_ condition: Bool, _ otherwise: @autoclosure () -> String) throws {
    if !condition { throw CommandFailure(otherwise()) }
}
