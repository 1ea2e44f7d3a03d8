import BenchmarkSupport
import Glibc

/// The programs of others that make the load, on one thread. They inherit our processor.
struct Generator {
    private let script: String

    /// - Parameter directory: where the script lies with which wrk prints its figures in full.
    init(directory: String) throws {
        script = "\(directory)/figures.lua"
        // Without a request or response function a script costs wrk nothing while it runs.
        try write(
            """
            done = function(summary, latency, requests)
                local errors = summary.errors
                print(string.format("figures %d %d %d", summary.requests, summary.bytes,
                    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
            end
            """, to: script)
    }

    func run(_ load: Scenario.Load, on contender: RunningContender, seconds: Int) throws -> LoadOutcome {
        switch load {
        case .wrk(let path, let connections, let isTLS):
            try wrk(connections: connections, seconds: seconds, url: contender.url(path, isTLS: isTLS))
        case .h2load(let path, let connections, let streams):
            try h2load(
                connections: connections, streams: streams, seconds: seconds, url: contender.url(path, isTLS: true))
        }
    }

    private func wrk(connections: Int, seconds: Int, url: String) throws -> LoadOutcome {
        let output = try Self.output(
            of: ["wrk", "-t1", "-c\(connections)", "-d\(seconds)s", "--timeout", "10s", "-s", script, url])
        let line = output.split(separator: "\n").first { $0.hasPrefix("figures ") }
        let figures = (line ?? "").split(separator: " ").dropFirst().compactMap { Int($0) }
        guard figures.count == 3 else { throw BenchError("wrk printed no figures:\n\(output)") }
        return LoadOutcome(requests: figures[0], bytes: figures[1], faults: figures[2])
    }

    private func h2load(connections: Int, streams: Int, seconds: Int, url: String) throws -> LoadOutcome {
        let output = try Self.output(
            of: [
                "h2load", "-t1", "-c\(connections)", "-m\(streams)", "-D\(seconds)", "--npn-list=h2", url,
            ])
        // "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout"
        // "traffic: 1.00MB (1048576) total, …"
        func figure(_ line: String, _ word: String) throws -> Int {
            let words = output.split(separator: "\n").first { $0.hasPrefix(line) }?.split { " ,()".contains($0) } ?? []
            guard let index = words.firstIndex(where: { $0 == word }), index > 0, let value = Int(words[index - 1])
            else {
                throw BenchError("h2load printed no figures:\n\(output)")
            }
            return value
        }
        return LoadOutcome(
            requests: try figure("requests:", "succeeded"), bytes: try figure("traffic:", "total"),
            faults: try figure("requests:", "failed"))
    }

    private static func output(of command: [String]) throws -> String {
        let (output, status) = try ServerProcess(command, processor: nil).finish()
        guard status == 0 else { throw BenchError("\(command.joined(separator: " ")) failed:\n\(output)") }
        return output
    }
}

/// Makes a file of a text, mode 0600.
func write(_ text: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw BenchError("\(path) cannot be written") }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
        throw BenchError("\(path) cannot be written")
    }
}
