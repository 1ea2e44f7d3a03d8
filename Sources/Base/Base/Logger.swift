/// Takes finished log records. The Runtime has the one that writes to standard error; tests collect.
public protocol LogSink: Sendable {
    func write(_ record: LogRecord)
}

public struct LogRecord: Sendable {
    public let level: Logger.Level
    public let label: String
    public let message: String
    public let metadata: [(key: String, value: String)]
}

/// A logger in the shape of swift-log: constant messages, what varies goes into the metadata.
///
/// - Important: tokens, tickets, signatures, keys and payloads never go into a record.
public struct Logger: Sendable {
    public enum Level: Int, Comparable, Sendable, CaseIterable {
        case debug, info, notice, warning, error

        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

        public init?(name: String) {
            guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
            self = level
        }

        public var name: String { "\(self)" }
    }

    public var level: Level
    public let label: String
    private let sink: any LogSink
    private var context: [(key: String, value: String)] = []

    public init(label: String, level: Level = .info, sink: any LogSink) {
        self.label = label
        self.level = level
        self.sink = sink
    }

    /// A logger that says where it belongs, and adds the metadata to every record.
    public func child(_ label: String, metadata: KeyValuePairs<String, String> = [:]) -> Logger {
        var child = Logger(label: label, level: level, sink: sink)
        child.context = context + metadata.map { (key: $0.key, value: $0.value) }
        return child
    }

    public func log(_ level: Level, _ message: String, metadata: KeyValuePairs<String, String> = [:]) {
        guard level >= self.level else { return }
        sink.write(
            LogRecord(
                level: level, label: label, message: message,
                metadata: context + metadata.map { (key: $0.key, value: $0.value) }))
    }

    public func debug(
        _ message: @autoclosure () -> String, metadata: @autoclosure () -> KeyValuePairs<String, String> = [:]
    ) {
        if level <= .debug { log(.debug, message(), metadata: metadata()) }
    }

    public func info(_ message: String, metadata: KeyValuePairs<String, String> = [:]) {
        log(.info, message, metadata: metadata)
    }

    public func notice(_ message: String, metadata: KeyValuePairs<String, String> = [:]) {
        log(.notice, message, metadata: metadata)
    }

    public func warning(_ message: String, metadata: KeyValuePairs<String, String> = [:]) {
        log(.warning, message, metadata: metadata)
    }

    public func error(_ message: String, metadata: KeyValuePairs<String, String> = [:]) {
        log(.error, message, metadata: metadata)
    }
}

/// Drops every record; the default of libraries and of most tests.
public struct SilentLogSink: LogSink {
    public init() {}
    public func write(_ record: LogRecord) {}
}
