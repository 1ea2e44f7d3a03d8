import BenchmarkSupport
import CLoadGenerator
import Glibc

/// What makes the load, on one thread: programs of others, which inherit our processor, or our own code on this thread.
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
        case .handshakes(let isResumed, let inFlight):
            Self.own {
                skerry_handshakes(
                    contender.ports.second, isResumed ? 1 : 0, Int32(inFlight), Int64(seconds) * 1_000_000_000, $0)
            }
        case .webSocketEcho(let connections, let payloadBytes):
            Self.own {
                skerry_echo(
                    contender.ports.first, Int32(connections), Int32(payloadBytes), Int64(seconds) * 1_000_000_000, $0)
            }
        case .udp(let flows, let burst, let payloadBytes):
            try DatagramLoad(flows, to: contender.ports).run(burst, payloadBytes, seconds: seconds)
        }
    }

    private static func own(_ run: (UnsafeMutablePointer<skerry_connect_tally>) -> Void) -> LoadOutcome {
        var tally = skerry_connect_tally()
        run(&tally)
        return LoadOutcome(count: Int(tally.done), faults: Int(tally.failed))
    }

    private func wrk(connections: Int, seconds: Int, url: String) throws -> LoadOutcome {
        let output = try Self.output(
            of: ["wrk", "-t1", "-c\(connections)", "-d\(seconds)s", "--timeout", "10s", "-s", script, url])
        let line = output.split(separator: "\n").first { $0.hasPrefix("figures ") }
        let figures = (line ?? "").split(separator: " ").dropFirst().compactMap { Int($0) }
        guard figures.count == 3 else { throw BenchError("wrk printed no figures:\n\(output)") }
        return LoadOutcome(count: figures[0], bytes: figures[1], faults: figures[2])
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
            count: try figure("requests:", "succeeded"), bytes: try figure("traffic:", "total"),
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
