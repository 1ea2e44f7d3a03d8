import Base
import RelayEngine
import STUN

/// A client that says of itself whatever a test wants.
struct CredentialClient {
    var address = RelayHarness.client
    var username: String?
    var userhash: Userhash?
    var realm = RelayHarness.realm
    var nonce: [UInt8]?
    var key: LongTermKey
    var integrity = STUNIntegrity.sha1
    var algorithm: PasswordAlgorithm?
    var algorithms: [PasswordAlgorithm]?
    var token: [UInt8]?

    /// A user with a password.
    init(
        _ username: String, password: String, realm: String = RelayHarness.realm,
        algorithm: PasswordAlgorithm = .md5
    ) {
        self.username = username
        self.realm = realm
        key = LongTermKey(username: username, realm: realm, password: password, algorithm: algorithm)
        if algorithm == .sha256 {
            self.algorithm = algorithm
            algorithms = [.sha256, .md5]
        }
    }

    /// A user with REST credentials.
    init(rest username: String = "2000000600:default:alice", secret: [UInt8], algorithm: PasswordAlgorithm = .md5) {
        self.init(
            username, password: RESTCredentials.password(username: username, secret: secret), algorithm: algorithm)
    }

    /// Who shows a token.
    init(token: [UInt8], named id: String, key: LongTermKey) {
        username = id
        self.token = token
        self.key = key
    }

    func request(
        _ method: STUNMethod, _ transactionID: TransactionID, _ body: (inout STUNWriter) -> Void = { _ in }
    ) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 2048)
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(
                into: buffer, type: STUNMessageType(method, .request), transactionID: transactionID)
            body(&writer)
            guard let nonce else { return writer.finish() }
            if let username { writer.append(.username, text: username) }
            if let userhash { writer.append(.userhash, bytes: userhash.bytes) }
            writer.append(.realm, text: realm)
            writer.append(.nonce, bytes: nonce)
            if let algorithms { writer.append(passwordAlgorithms: algorithms) }
            if let algorithm { writer.append(passwordAlgorithm: algorithm) }
            if let token { writer.append(.accessToken, bytes: token) }
            return writer.finish(integrity: (integrity, key))
        }
        return Array(buffer[..<count])
    }
}

extension RelayHarness {
    /// One request of the client, after the challenge that gives the nonce.
    func ask(
        _ method: STUNMethod, as client: inout CredentialClient, _ body: (inout STUNWriter) -> Void = { _ in }
    ) -> Answer? {
        if client.nonce == nil {
            let challenge = answer(client.request(method, newTransaction()), from: client.address)
            client.nonce = challenge?.read { $0.value(.nonce) } ?? nil
        }
        return answer(client.request(method, newTransaction(), body), from: client.address)
    }

    func allocate(as client: inout CredentialClient) -> Answer? {
        ask(.allocate, as: &client) { $0.append(.requestedTransport, leadingByte: 17) }
    }

    func refresh(as client: inout CredentialClient, seconds: UInt32 = 600) -> Answer? {
        ask(.refresh, as: &client) { $0.append(.lifetime, number: seconds) }
    }
}
