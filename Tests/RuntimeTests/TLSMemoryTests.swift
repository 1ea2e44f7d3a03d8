import Base
import CAllocationCounter
import Glibc
import Testing

@testable import Runtime

/// Counted: what connections hold while they wait.
@Suite(.timeLimit(.minutes(1))) struct TLSMemoryTests {
    @Test(.disabled(if: skerry_is_sanitized()))
    func `an idle connection under TLS holds less than 20 KiB`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/central")
        let server = try TLSContext.server(
            certificatePEM: certificate, privateKeyPEM: key, protocols: ["http/1.1"],
            ticketKeys: TLSTicketKeys(rotation: .seconds(3600)))
        let pool = BlockingPool(threads: 1, name: "client", queueLimit: 1)
        let connections = 200
        let held = try await withServer(serve: { stream in
            guard (try? await stream.startTLS(server)) != nil else { return }
            await echo(stream)
        }) { _, address in
            let client = BlockingTLSClient(address, pool)
            // So large that every buffer is used; the first connections make what all share.
            var descriptors = [try await client.abandon(bytes: 40_000), try await client.abandon(bytes: 40_000)]
            descriptors.reserveCapacity(connections + 2)
            let before = Int(skerry_heap_bytes())
            for _ in 0..<connections { descriptors.append(try await client.abandon(bytes: 40_000)) }
            let held = Int(skerry_heap_bytes()) - before
            #expect(descriptors.allSatisfy { $0 != nil })
            for descriptor in descriptors.compactMap(\.self) { close(descriptor) }
            return held / connections
        }
        pool.shutdown()
        #expect(held < 20 * 1024 && held > 4 * 1024, "\(held) bytes")
    }
}
