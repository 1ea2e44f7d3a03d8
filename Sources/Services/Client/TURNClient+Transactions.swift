import Base
import Runtime
import STUN

/// Requests with their answers: retransmission, the challenge, what an error means.
extension TURNClient {
    struct Request: Sendable {
        let transactionID: TransactionID
        let bytes: [UInt8]
    }

    func request(_ method: STUNMethod, authenticated: Bool, _ body: (inout STUNWriter) -> Void) -> Request {
        let id = TransactionID.random()
        var buffer = [UInt8](repeating: 0, count: 2560)
        let count = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(into: buffer, type: STUNMessageType(method, .request), transactionID: id)
            body(&writer)
            if authenticated, let key {
                writer.append(.username, text: credentials.username)
                writer.append(.realm, text: realm)
                writer.append(.nonce, bytes: nonce)
                return writer.finish(integrity: (.sha1, key), fingerprint: true)
            }
            return writer.finish(fingerprint: true)
        }
        return Request(transactionID: id, bytes: Array(buffer[..<count]))
    }

    /// An authenticated request; a challenge or a stale nonce is answered with another try.
    ///
    /// - Returns: the success answer, its integrity checked.
    func transact(
        _ method: STUNMethod, maxAttempts: Int? = nil, _ body: (inout STUNWriter) -> Void
    ) async throws -> [UInt8] {
        var mayBeChallenged = true
        var mayBeStale = true
        while true {
            let answer = try await exchange(request(method, authenticated: true, body), maxAttempts: maxAttempts)
            switch try read(answer, method: method) {
            case .success:
                return answer
            case .challenge(.unauthenticated, let realm, let nonce) where mayBeChallenged && key == nil:
                mayBeChallenged = false
                self.realm = realm
                self.nonce = nonce
                key = LongTermKey(username: credentials.username, realm: realm, password: credentials.credential)
            case .challenge(.staleNonce, _, let nonce) where mayBeStale:
                mayBeStale = false
                self.nonce = nonce
            case .challenge(let code, _, _), .failure(let code):
                throw TURNRefusal(method: method, code: code).error
            }
        }
    }

    private enum Outcome {
        case success
        case challenge(STUNErrorCode, realm: String, nonce: [UInt8])
        case failure(STUNErrorCode)
    }

    private func read(_ answer: [UInt8], method: STUNMethod) throws -> Outcome {
        guard let message = try? STUNMessage(answer.span.bytes), message.type.method == method else {
            throw Self.malformed
        }
        if message.type.messageClass == .success {
            guard let key, message.hasValidIntegrity(key) else { throw Self.malformed }
            return .success
        }
        guard let code = message.errorCode else { throw Self.malformed }
        if let realm = message.text(.realm), let nonce = message.value(.nonce), realm.utf8.count <= 763,
            nonce.count <= 763
        {
            return .challenge(code, realm: realm, nonce: nonce)
        }
        return .failure(code)
    }

    /// Sends a request until it is answered.
    ///
    /// - Throws: `EdgeError` `.timeout` when no answer comes.
    func exchange(_ request: Request, maxAttempts: Int? = nil) async throws -> [UInt8] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                // Known before it is sent: the answer may come at once.
                pending[request.transactionID] = continuation
                transmit(
                    request, attemptsLeft: maxAttempts ?? configuration.maxAttempts,
                    waitMs: configuration.initialTimeoutMs)
            }
        } onCancel: {
            Task { await self.abandon(request.transactionID) }
        }
    }

    private func transmit(_ request: Request, attemptsLeft: Int, waitMs: Int64) {
        guard pending[request.transactionID] != nil else { return }
        guard attemptsLeft > 0 else {
            pending.removeValue(forKey: request.transactionID)?.resume(
                throwing: EdgeError(
                    .timeout, "the relay at \(server) does not answer", side: .upstream, isRetryable: true))
            return
        }
        request.bytes.withUnsafeBytes { _ = socket.send($0, to: server) }
        loop.schedule(after: .milliseconds(waitMs)) { [weak self] in
            self?.assumeIsolated { $0.transmit(request, attemptsLeft: attemptsLeft - 1, waitMs: waitMs * 2) }
        }
    }

    private func abandon(_ id: TransactionID) {
        pending.removeValue(forKey: id)?.resume(throwing: CancellationError())
    }
}
