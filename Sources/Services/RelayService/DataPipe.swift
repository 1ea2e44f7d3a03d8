import RelayEngine
import Runtime

/// A client's data connection and the peer connection that it is bound to (RFC 6062 section 5.4): bytes pass as they are, each side no
/// faster than the other takes them.
///
/// `@unchecked Sendable`: used on `loop`'s thread alone.
final class DataPipe: @unchecked Sendable {
    /// What is taken at once, and waits together where the bandwidth is used up.
    private static let maxPieceBytes = 32 * 1024

    let loop: EventLoop
    private let connection: PeerConnection
    private let client: ByteStream
    private let peer: ByteStream

    init(_ connection: PeerConnection, client: ByteStream, peer: ByteStream) {
        self.connection = connection
        self.client = client
        self.peer = peer
        loop = client.loop
    }

    /// Carries bytes until both sides have ended, or either is lost.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) {
                await self.carry(from: self.client, to: self.peer) { self.connection.carried(toPeer: $0) }
            }
            group.addTask(executorPreference: loop) {
                await self.carry(from: self.peer, to: self.client) { self.connection.carried(toClient: $0) }
            }
        }
        close()
        connection.report()
    }

    private func carry(
        from source: ByteStream, to destination: ByteStream, count: (Int) -> Void
    ) async {
        do {
            // The answer that told the client.
            try await destination.flushPosted()
            var credit = BandwidthCredit(connection.limits)
            // What the client has sent behind its request is here already.
            while true {
                if source.inbound.isEmpty, try await !source.receive() { break }
                let bytes = source.inbound.take(min(source.inbound.count, Self.maxPieceBytes))
                while let delay = credit.delay(for: bytes.count, now: loop.now) { try await loop.sleep(for: delay) }
                try await destination.send(bytes)
                count(bytes.count)
            }
            await destination.finish()
        } catch {
            close()
        }
    }

    func close() {
        client.close()
        peer.close()
    }
}
