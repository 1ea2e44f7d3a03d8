import Base
import Runtime
import Testing

@testable import RelayService

/// The scripts of Tests/Interop against a relay of this process: coturn's own client, and a client in Python.
@Suite(.serialized, .timeLimit(.minutes(2))) struct InteropScriptTests {
    private static let folder = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Interop"

    private static func configure(_ configuration: inout RelayService.Configuration) {
        configuration.allowRFC5766ChannelNumbers = true
        configuration.refusedPeerPorts = [9480]
    }

    private func run(_ script: String, _ arguments: [String], loopCount: Int) async throws {
        let pool = BlockingPool(threads: 1, name: "child", queueLimit: 4)
        defer { pool.shutdown() }
        try await withRelay(loopCount: loopCount, Self.configure) { relay in
            let credentials = try relay.credentials
            let child = try await ChildProcess.run(
                "python3",
                [
                    "\(Self.folder)/\(script)", "--server", "\(relay.service.listenAddresses[0])", "--user",
                    credentials.username, "--credential", credentials.credential,
                ] + arguments, pool: pool)
            #expect(child.status == 0, "\(child.output)")
        }
    }

    @Test(
        .enabled(if: ChildProcess.isInstalled("turnutils_uclient") && ChildProcess.isInstalled("python3")),
        arguments: [("udp channels", 1), ("udp indications", 2), ("udp peer", 2)])
    func coturnsClientLosesNothing(mode: String, loopCount: Int) async throws {
        try await run("turn_uclient.py", ["--mode", mode], loopCount: loopCount)
    }

    @Test(.enabled(if: ChildProcess.isInstalled("python3")))
    func refusalsAndLimits() async throws {
        try await run("turn_limits.py", ["--refused", "127.0.0.1:9480"], loopCount: 2)
    }
}
