import Base
import HTTP
import HTTPCodec
import Runtime
import Wire

extension MessagingClient {
    /// One connection after the other, until the server or the caller ends it.
    func stayConnected() async {
        var backoff = Backoff(
            firstDelayMs: configuration.firstReconnectDelayMs, maxDelayMs: configuration.maxReconnectDelayMs)
        var turn = 0
        while end == nil {
            var reason = ""
            var delay: Duration?
            do {
                let socket = try await connect(urls[turn % urls.count])
                backoff.reset()
                let ending = await converse(on: socket)
                delay = judge(socket.closeCode, socket.closeReason)
                reason = socket.closeCode.map { "closed with \($0) \(socket.closeReason)" } ?? ending
            } catch let refusal as WebSocketRefusal where !AnswerError.isRetryable(refusal.status) {
                let message = AnswerError.message(status: refusal.status, body: refusal.body)
                finish(.refused(status: refusal.status, message: message))
            } catch {
                reason = "\(error)"
            }
            socket = nil
            guard end == nil else { break }
            await events.put(.disconnected(reason: reason))
            turn += 1
            try? await loop.sleep(for: delay ?? backoff.next())
        }
        if let end { await events.put(.ended(end)) }
        events.end()
    }

    /// Opens the WebSocket, says hello and waits for the welcome; then sends again what has no answer.
    private func connect(_ url: String) async throws -> WebSocket {
        let socket = try await http.webSocket(
            url: url, subprotocols: ["skerry.v1.json"], fields: ["Authorization": "Bearer \(token)"],
            maxMessageBytes: configuration.maxFrameBytes)
        let watchdog = Task(executorPreference: loop) {
            try? await self.loop.sleep(for: .milliseconds(self.configuration.welcomeTimeoutMs))
            if !Task.isCancelled { await socket.close(code: 1000, reason: "no welcome") }
        }
        defer { watchdog.cancel() }
        let resume = resumeToken.map { ResumePoint(token: $0, sequence: acknowledged) }
        try await socket.send(text: ClientFrame.hello(ClientFrame.Hello(resume: resume, client: clientName)).json)
        guard let first = try await receive(from: socket) else {
            _ = judge(socket.closeCode, socket.closeReason)
            throw EdgeError(.closed, "the connection was closed before the welcome", side: .upstream, isRetryable: true)
        }
        guard case .welcome(let welcome) = first else {
            throw EdgeError(.corrupt, "the first frame is no welcome", side: .upstream)
        }
        if !welcome.resumed { acknowledged = 0 }
        resumeToken = welcome.resumeToken
        self.socket = socket
        await events.put(.connected(welcome))
        for request in pending.values.sorted(by: { $0.number < $1.number }) {
            try await socket.send(text: request.frame.json)
        }
        return socket
    }

    /// Takes frames until the connection ends; returns why.
    private func converse(on socket: WebSocket) async -> String {
        do {
            while let frame = try await receive(from: socket) { await take(frame) }
            return "closed"
        } catch {
            return "\(error)"
        }
    }

    /// The next frame that is known here; newer servers may send others.
    private func receive(from socket: WebSocket) async throws -> ServerFrame? {
        while let message = try await socket.receive() {
            guard case .text(let text) = message else {
                throw EdgeError(.corrupt, "a binary message on a JSON connection", side: .upstream)
            }
            do {
                return try ServerFrame(json: text)
            } catch .unknownType {
                continue
            }
        }
        return nil
    }

    private func take(_ frame: ServerFrame) async {
        switch frame {
        case .welcome(let welcome): resumeToken = welcome.resumeToken
        case .accepted(let accepted): answer(accepted.id, .success(frame))
        case .statusItems(let items): answer(items.id, .success(frame))
        case .error(let failure):
            if let reference = failure.reference, pending[reference] != nil {
                answer(reference, .failure(RequestRefused(failure: failure)))
            } else {
                await events.put(.error(failure))
            }
        case .deliver(let delivery): await events.put(.deliver(delivery))
        case .drained: await events.put(.drained)
        case .gap(let gap): await events.put(.gap(gap))
        case .statusNew(let item): await events.put(.statusNew(item))
        case .statusGone(let gone): await events.put(.statusGone(gone))
        case .call(let notice): await events.put(.call(notice))
        }
    }

    private func answer(_ id: UUID, _ result: Result<ServerFrame, any Error>) {
        guard let request = pending.removeValue(forKey: id) else { return }
        request.timeout.cancel()
        request.continuation.resume(with: result)
    }

    /// What a close code means: the end, or a delay before the next attempt that the server asks for.
    private func judge(_ code: UInt16?, _ reason: String) -> Duration? {
        switch code {
        case 4400, 4401, 4409, 4413:
            finish(.closed(code: code ?? 0, reason: reason))
            return nil
        case 1012:
            guard reason.hasPrefix("reconnect_after_ms="), let slot = Int64(reason.dropFirst(19)) else { return nil }
            return .milliseconds(min(max(slot, 0), 600_000))
        default: return nil
        }
    }

    func transmit(_ frame: ClientFrame) async throws {
        guard let socket else { return }
        try await socket.send(text: frame.json)
    }

    /// No further connection; every waiting request fails.
    func finish(_ end: MessagingEnd) {
        guard self.end == nil else { return }
        self.end = end
        let waiting = pending.values
        pending = [:]
        for request in waiting {
            request.timeout.cancel()
            request.continuation.resume(throwing: end)
        }
    }
}
