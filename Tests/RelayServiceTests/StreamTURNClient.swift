import Base
import RelayService
import Runtime
import STUN

/// A TURN client over TCP or TLS, or over DTLS: whoever brings its messages. Waits for every answer.
///
/// `@unchecked Sendable`: used on its loop alone.
final class StreamTURNClient: @unchecked Sendable {
    struct Refused: Error, Equatable {
        /// Nil when the server has closed the connection.
        let code: STUNErrorCode?
    }

    let stream: ByteStream
    private let credentials: RelayCredentials
    private(set) var realm = ""
    private var nonce = ""
    private var key: LongTermKey?
    private let framer = STUNStreamFramer(maxMessageByteCount: 70_000)
    /// Other messages that came while an answer was waited for.
    private var others: [[UInt8]] = []

    init(
        _ server: SocketAddress, _ credentials: RelayCredentials, tls: TLSContext? = nil, on loop: EventLoop
    ) async throws {
        stream = try await ByteStream.connect(to: server, on: loop, timeout: .seconds(5))
        self.credentials = credentials
        if let tls { try await stream.startTLS(tls, serverName: "localhost") }
    }

    func close() { stream.close() }

    /// The next message of the stream, without padding; nil at its end.
    func message() async throws -> [UInt8]? {
        while true {
            let frame = try stream.inbound.withBytes { try framer.next($0.bytes) }
            if let frame {
                return Array(stream.inbound.take(frame.byteCount)[..<frame.messageByteCount])
            }
            guard try await stream.receive() else { return nil }
        }
    }

    /// Whether messages came while an answer was waited for.
    var hasRelayed: Bool { !others.isEmpty }

    /// The next message that is no answer.
    func relayed() async throws -> [UInt8]? {
        others.isEmpty ? try await message() : others.removeFirst()
    }

    /// Asks, and once more when told realm and nonce; returns the answer.
    @discardableResult
    func request(_ method: STUNMethod, _ body: (inout STUNWriter) -> Void = { _ in }) async throws -> [UInt8] {
        do {
            return try await ask(method, body)
        } catch let refused as Refused where refused.code == .unauthenticated && key == nil {
            key = LongTermKey(username: credentials.username, realm: realm, password: credentials.credential)
            return try await ask(method, body)
        }
    }

    func ask(_ method: STUNMethod, _ body: (inout STUNWriter) -> Void = { _ in }) async throws -> [UInt8] {
        let id = TransactionID.random()
        try await stream.send(written(method, id, body))
        while let answer = try await message() {
            guard let read = try? STUNMessage(answer.span.bytes), read.transactionID == id else {
                others.append(answer)
                continue
            }
            if read.type.messageClass == .success { return answer }
            realm = read.text(.realm) ?? realm
            nonce = read.text(.nonce) ?? nonce
            throw Refused(code: read.errorCode)
        }
        throw Refused(code: nil)
    }

    /// A request with the credentials that the client has by now.
    func written(_ method: STUNMethod, _ id: TransactionID, _ body: (inout STUNWriter) -> Void) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
            var writer = STUNWriter(
                into: UnsafeMutableRawBufferPointer(buffer), type: STUNMessageType(method, .request), transactionID: id)
            body(&writer)
            if key != nil {
                writer.append(.username, text: credentials.username)
                writer.append(.realm, text: realm)
                writer.append(.nonce, text: nonce)
            }
            count = writer.finish(integrity: key.map { (.sha1, $0) })
        }
    }

    /// - Returns: the relayed transport address.
    func allocate(_ transport: UInt8 = 17) async throws -> SocketAddress {
        let answer = try await request(.allocate) { $0.append(.requestedTransport, leadingByte: transport) }
        guard let relayed = try STUNMessage(answer.span.bytes).xorAddress(.xorRelayedAddress) else {
            throw Refused(code: nil)
        }
        return relayed
    }

    func bindChannel(_ number: UInt16, to peer: SocketAddress) async throws {
        try await request(.channelBind) {
            $0.append(channelNumber: number)
            $0.append(.xorPeerAddress, xorAddress: peer)
        }
    }

    /// A ChannelData message with its padding.
    static func channelData(_ number: UInt16, _ payload: [UInt8]) -> [UInt8] {
        var message: [UInt8] = []
        message.append(bigEndian: number)
        message.append(bigEndian: UInt16(payload.count))
        return message + payload + [UInt8](repeating: 0, count: -payload.count & 3)
    }
}
