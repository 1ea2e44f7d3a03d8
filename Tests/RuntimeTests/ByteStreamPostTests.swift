import Base
import Crypto
import Synchronization
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct ByteStreamPostTests {
    private static let messageBytes = 1_000

    private static func post(_ number: Int, on stream: ByteStream, maxUnsentBytes: Int) -> Bool {
        let message = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: messageBytes)
        return message.withUnsafeBytes { stream.post($0, maxUnsentBytes: maxUnsentBytes) }
    }

    /// The client's view of a server that posts as long as it may to a client that does not read yet.
    private func flood(server: TLSContext?, client: TLSContext?, maxUnsentBytes: Int) async throws -> (
        received: [UInt8], accepted: [UInt8], unsent: Int
    ) {
        let accepted = Mutex<[UInt8]>([])
        let largestUnsent = Mutex(0)
        let received = try await withServer(serve: { stream in
            if let server { guard (try? await stream.startTLS(server)) != nil else { return } }
            for number in 0..<100_000 {
                guard Self.post(number, on: stream, maxUnsentBytes: maxUnsentBytes) else { break }
                accepted.withLock { $0.append(UInt8(truncatingIfNeeded: number)) }
            }
            largestUnsent.withLock { $0 = stream.outbound.count - stream.outboundSent }
            // The client asks for the rest, and says when it has all.
            guard (try? await stream.receive()) == true else { return }
            while !stream.outbound.isEmpty { try? await stream.waitUntilSendable() }
            _ = Self.post(255, on: stream, maxUnsentBytes: maxUnsentBytes)
            accepted.withLock { $0.append(255) }
            await stream.finish()
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            if let client { try await stream.startTLS(client, serverName: "localhost") }
            while accepted.withLock({ $0.isEmpty }) || largestUnsent.withLock({ $0 == 0 }) {
                try await loop.sleep(for: .milliseconds(1))
            }
            try await stream.send([1])
            var bytes: [UInt8] = []
            while try await stream.receive() { bytes += stream.inbound.take(stream.inbound.count) }
            stream.close()
            return bytes
        }
        return (received, accepted.withLock { $0 }, largestUnsent.withLock { $0 })
    }

    private func check(_ outcome: (received: [UInt8], accepted: [UInt8], unsent: Int), maxUnsentBytes: Int) {
        #expect(outcome.accepted.count > 200 && outcome.accepted.count < 100_000)
        #expect(outcome.received == outcome.accepted.flatMap { [UInt8](repeating: $0, count: Self.messageBytes) })
        #expect(outcome.unsent <= maxUnsentBytes)
    }

    @Test func `what is posted arrives whole and in order, and what is too much is refused whole`() async throws {
        check(try await flood(server: nil, client: nil, maxUnsentBytes: 100_000), maxUnsentBytes: 100_000)
    }

    @Test func `under TLS as well`() async throws {
        let cluster = try TestCluster()
        let (certificate, key) = try cluster.issue("skerry://c/eu/x")
        let server = try TLSContext.server(certificatePEM: certificate, privateKeyPEM: key, protocols: [])
        let client = try TLSContext.client(trustPEM: cluster.authority.certificatePEM, protocols: [])
        // The records' own bytes are counted behind, not before.
        check(try await flood(server: server, client: client, maxUnsentBytes: 100_000), maxUnsentBytes: 110_000)
    }

    @Test func `what was posted before a close has left`() async throws {
        let text = try await withServer(serve: { stream in
            _ = Array("last".utf8).withUnsafeBytes { stream.post($0, maxUnsentBytes: 100) }
            stream.close()
        }) { loop, address in
            let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
            while try await stream.receive() {}
            let text = String(decoding: stream.inbound.take(stream.inbound.count), as: UTF8.self)
            stream.close()
            return text
        }
        #expect(text == "last")
    }
}
