import Base
import Runtime
import Testing

@testable import RelayService

/// coturn's own client against us: two clients that reach each other through two allocations, by channels and by
/// Send indications.
@Suite(.serialized, .timeLimit(.minutes(1))) struct UClientTests {
    @Test(.enabled(if: ChildProcess.isInstalled("turnutils_uclient")), arguments: [([], 1), (["-s"], 2)])
    func relaysWithoutLoss(mode: [String], loopCount: Int) async throws {
        let pool = BlockingPool(threads: 1, name: "child", queueLimit: 4)
        defer { pool.shutdown() }
        try await withRelay(loopCount: loopCount, { $0.allowRFC5766ChannelNumbers = true }) { relay in
            let credentials = try relay.credentials
            let client = try await ChildProcess.run(
                "turnutils_uclient",
                mode + [
                    "-y", "-c", "-m", "4", "-n", "200", "-l", "172", "-z", "5", "-u", credentials.username, "-w",
                    credentials.credential, "-p", "\(relay.service.listenAddress.port)", "127.0.0.1",
                ], pool: pool)
            #expect(client.status == 0)
            #expect(client.output.contains("Total lost packets 0 (0.000000%)"), "\(client.output)")
            #expect(client.output.contains("tot_send_msgs=800, tot_recv_msgs=800"), "\(client.output)")
        }
    }
}
