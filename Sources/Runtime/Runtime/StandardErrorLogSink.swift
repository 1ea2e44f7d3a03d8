public import Base
import Glibc

/// Writes a record as one line to standard error: time, level, label, message, then the metadata as key=value.
public struct StandardErrorLogSink: LogSink {
    public init() {}

    public func write(_ record: LogRecord) {
        var line = "\(Self.timestamp(WallClock.now())) \(record.level.name) \(record.label): \(record.message)"
        for (key, value) in record.metadata { line += " \(key)=\(Self.quoted(value))" }
        line += "\n"
        var bytes = Array(line.utf8)
        // One system call a line, so that lines of several threads do not mix.
        bytes.withUnsafeMutableBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Values come from peers too: no line break or quote of theirs may forge a record.
    private static func quoted(_ value: String) -> String {
        let isPlain =
            !value.isEmpty
            && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        if isPlain { return value }
        var output = "\""
        for scalar in value.unicodeScalars.prefix(1024) {
            switch scalar {
            case "\"", "\\": output += "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                output += "\\u{\(String(scalar.value, radix: 16))}"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }

    /// RFC 3339 in UTC with milliseconds.
    static func timestamp(_ time: WallTime) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ value: some BinaryInteger, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let milliseconds = time.milliseconds - time.seconds * 1000
        return "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))T"
            + "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2)).\(padded(milliseconds, 3))Z"
    }
}
