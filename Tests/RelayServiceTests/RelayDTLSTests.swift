import Base
import Runtime
import STUN
import Testing

@testable import RelayService

@Suite(.timeLimit(.minutes(1))) struct RelayDTLSTests {
    /// A client over DTLS.
    ///
    /// `@unchecked Sendable`: used on its loop alone.
    private final class Client: @unchecked Sendable {
        private let socket: UDPSocket
        private let session: DTLSSession
        private let credentials: RelayCredentials
        private let messages = AsyncStream<[UInt8]>.makeStream()
        private let space = UnsafeMutableRawBufferPointer.allocate(
            byteCount: DTLSSession.maxRecordBytes, alignment: 8)
        private var realm = ""
        private var nonce = ""
        private var key: LongTermKey?

        init(_ server: SocketAddress, _ credentials: RelayCredentials, trust: String, on loop: EventLoop) throws {
            self.credentials = credentials
            socket = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
            session = try DTLSSession(
                DTLSContext.client(trustPEM: trust, protocols: ["stun.turn"]), serverName: "localhost",
                maxDatagramBytes: 1200, firstRetransmission: .milliseconds(1000))
            session.transmit = { [socket] in socket.send($0, to: server) }
            try socket.start { [self] datagram, _, _ in
                try? session.receive(UnsafeRawBufferPointer(datagram), into: space) {
                    messages.continuation.yield(Array($0))
                }
                if session.state == .closed { messages.continuation.finish() }
            }
            try session.advance()
        }

        deinit { space.deallocate() }

        var isOpen: Bool { session.state == .open }
        var applicationProtocol: String? { session.applicationProtocol }

        func send(_ bytes: [UInt8]) { bytes.withUnsafeBytes { _ = session.send($0) } }

        func message() async -> [UInt8]? {
            var iterator = messages.stream.makeAsyncIterator()
            return await iterator.next()
        }

        func request(_ method: STUNMethod, _ body: (inout STUNWriter) -> Void) async throws -> [UInt8] {
            for _ in 0..<2 {
                let request = [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
                    var writer = STUNWriter(
                        into: UnsafeMutableRawBufferPointer(buffer), type: STUNMessageType(method, .request),
                        transactionID: .random())
                    body(&writer)
                    if key != nil {
                        writer.append(.username, text: credentials.username)
                        writer.append(.realm, text: realm)
                        writer.append(.nonce, text: nonce)
                    }
                    count = writer.finish(integrity: key.map { (.sha1, $0) })
                }
                send(request)
                guard let answer = await message() else { break }
                let read = try STUNMessage(answer.span.bytes)
                if read.type.messageClass == .success { return answer }
                guard read.errorCode == .unauthenticated else { throw StreamTURNClient.Refused(code: read.errorCode) }
                realm = read.text(.realm) ?? ""
                nonce = read.text(.nonce) ?? ""
                key = LongTermKey(username: credentials.username, realm: realm, password: credentials.credential)
            }
            throw StreamTURNClient.Refused(code: nil)
        }

        func close() {
            session.close()
            socket.close()
        }
    }

    private func withDTLS(
        _ change: @escaping @Sendable (inout RelayService.Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (RunningRelay, EventLoop, Client) async throws -> Void
    ) async throws {
        let certificates = try TestCertificates()
        try await withRelay(certificates: RelayCertificates([try certificates.issue()]), change) { relay in
            let clients = try EventLoopGroup(count: 1, name: "clients")
            defer { clients.shutdown() }
            let loop = clients.loops[0]
            try await Task(executorPreference: loop) {
                let client = try Client(
                    relay.service.tlsListenAddresses[0], relay.credentials, trust: certificates.authorityPEM, on: loop)
                defer { client.close() }
                while !client.isOpen { try await loop.sleep(for: .milliseconds(1)) }
                try await body(relay, loop, client)
            }.value
        }
    }

    @Test func `records are messages, to a peer and back; the association's end is the allocation's`() async throws {
        try await withDTLS { relay, loop, client in
            #expect(client.applicationProtocol == "stun.turn")
            let peer = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
            defer { peer.close() }
            try peer.start { datagram, source, _ in peer.send(UnsafeRawBufferPointer(datagram), to: source) }
            _ = try await client.request(.allocate) { $0.append(.requestedTransport, leadingByte: 17) }
            _ = try await client.request(.channelBind) {
                $0.append(channelNumber: 0x4000)
                $0.append(.xorPeerAddress, xorAddress: peer.localAddress)
            }
            for payload in [[1, 2, 3], [UInt8](repeating: 7, count: 1200)] {
                client.send(StreamTURNClient.channelData(0x4000, payload))
                let message = try #require(await client.message())
                // Nothing is padded outside of streams.
                #expect(message.count == 4 + payload.count && Array(message[4...]) == payload)
            }
            #expect(relay.service.allocationCount == 1)
            client.close()
            while relay.service.allocationCount > 0 { try await loop.sleep(for: .milliseconds(2)) }
        }
    }

    @Test func `an association without an allocation ends after a time`() async throws {
        try await withDTLS({ $0.unauthenticatedTimeoutMs = 100 }) { _, _, client in
            #expect(await client.message() == nil)
        }
    }
}
