import Base
import JSONCodec
import Runtime
import Synchronization

/// Results for programs.
enum Output {
    static let json = Parameter<Bool>.flag("--json", "print the result as one line of JSON")

    static func write(_ value: JSONValue) {
        Terminal.print(value.text)
    }
}

/// A progress bar that a transfer's callback may draw.
final class SharedProgress: Sendable {
    private let bar: Mutex<ProgressBar>

    init(_ bar: ProgressBar) { self.bar = Mutex(bar) }

    func update(_ count: Int64, of total: Int64) {
        bar.withLock { $0.update(count, of: total, at: MonotonicClock.now()) }
    }

    func finish() { bar.withLock { $0.finish() } }
}
