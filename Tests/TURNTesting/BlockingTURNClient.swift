package import Base
package import STUN

/// A TURN client that waits for every answer (RFC 8656 with long-term credentials), for programs that set up relaying and
/// then send and receive by themselves.
package final class BlockingTURNClient {
    package struct Refused: Error, CustomStringConvertible {
        package let method: STUNMethod
        /// Nil when no answer came.
        package let code: STUNErrorCode?
        package var description: String {
            "method \(method.rawValue) was \(code.map { "refused with \($0.rawValue)" } ?? "not answered")"
        }
    }

    /// Connected to the server. Another one is another client's address, with the same credentials.
    package var socket: LoopbackSocket
    private let server: SocketAddress
    private let username: String
    private let password: String
    private var realm = ""
    private var nonce = ""
    private var key: LongTermKey?

    package init(server: SocketAddress, username: String, password: String, bufferBytes: Int32? = nil) throws {
        self.server = server
        socket = try LoopbackSocket(bufferBytes: bufferBytes)
        try socket.connect(to: server)
        self.username = username
        self.password = password
    }

    /// Whether the server answers at all.
    package func isAnswered(timeoutMs: Int32) -> Bool {
        (try? request(.binding, timeoutMs: timeoutMs) { _ in }) != nil
    }

    /// Comes from another port.
    package func move() throws {
        socket = try LoopbackSocket()
        try socket.connect(to: server)
    }

    /// - Returns: the relayed transport address.
    package func allocate() throws -> SocketAddress {
        var relayed: SocketAddress?
        try perform(.allocate) {
            $0.append(.requestedTransport, leadingByte: 17)
        } read: {
            relayed = $0.xorAddress(.xorRelayedAddress)
        }
        guard let relayed else { throw Refused(method: .allocate, code: nil) }
        return relayed
    }

    package func createPermission(for peer: SocketAddress) throws {
        try perform(.createPermission) { $0.append(.xorPeerAddress, xorAddress: peer) }
    }

    package func bindChannel(_ number: UInt16, to peer: SocketAddress) throws {
        try perform(.channelBind) {
            $0.append(channelNumber: number)
            $0.append(.xorPeerAddress, xorAddress: peer)
        }
    }

    /// Asks, and once more, with credentials, when told realm and nonce.
    package func perform(
        _ method: STUNMethod, _ body: (inout STUNWriter) -> Void, read: (borrowing STUNMessage) -> Void = { _ in }
    ) throws {
        do {
            try request(method, body, read: read)
        } catch let refused as Refused where refused.code == .unauthenticated || refused.code == .staleNonce {
            key = LongTermKey(username: username, realm: realm, password: password)
            try request(method, body, read: read)
        }
    }

    private func request(
        _ method: STUNMethod, timeoutMs: Int32 = 2000, _ body: (inout STUNWriter) -> Void,
        read: (borrowing STUNMessage) -> Void = { _ in }
    ) throws {
        let transactionID = TransactionID.random()
        let message = [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
            var writer = STUNWriter(
                into: UnsafeMutableRawBufferPointer(buffer), type: STUNMessageType(method, .request),
                transactionID: transactionID)
            body(&writer)
            if key != nil {
                writer.append(.username, text: username)
                writer.append(.realm, text: realm)
                writer.append(.nonce, text: nonce)
            }
            count = writer.finish(integrity: key.map { (.sha1, $0) })
        }
        for _ in 0..<3 {
            try socket.send(message)
            // A refused port shows as an empty answer at once.
            guard let answer = socket.receive(timeoutMs: timeoutMs), let message = try? STUNMessage(answer.span.bytes),
                message.transactionID == transactionID
            else { continue }
            if message.type.messageClass == .success { return read(message) }
            realm = message.text(.realm) ?? realm
            nonce = message.text(.nonce) ?? nonce
            throw Refused(method: method, code: message.errorCode)
        }
        throw Refused(method: method, code: nil)
    }
}
