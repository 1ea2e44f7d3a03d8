import Base
package import HTTPCodec
import WebSocketCodec

/// What a server answered instead of opening a WebSocket.
package struct WebSocketRefusal: Error {
    package let status: Int
    package let fields: HTTPFields
    /// At most 64 KiB of the answer's body.
    package let body: [UInt8]
}

extension HTTPClientConnection {
    /// Makes the opening handshake (RFC 6455 section 4.1) and checks the server's part of it.
    func openWebSocket(
        _ url: HTTPURL, subprotocols: [String], fields: HTTPFields, maxMessageBytes: Int,
        configuration: WebSocket.Configuration
    ) async throws -> WebSocket {
        let key = Base64.encode((0..<16).map { _ in UInt8.random(in: 0...255) })
        var request = HTTPRequest(
            method: "GET", target: url.target,
            fields: [
                "Host": url.authority, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
                "Sec-WebSocket-Version": WebSocketHandshake.version,
            ])
        if !subprotocols.isEmpty {
            request.fields.append(name: "Sec-WebSocket-Protocol", value: subprotocols.joined(separator: ", "))
        }
        request.fields.append(contentsOf: fields)
        let answer: HTTPResponseHead
        do {
            answer = try await handshake(request)
        } catch let error as NoAnswer {
            throw EdgeError(
                .closed, "the connection ended without an answer", side: .upstream, isRetryable: true,
                cause: error.cause)
        }
        let response = answer.response
        guard response.status == 101 else {
            let body = try? await lastBody(answer).collect(upTo: 65_536)
            throw WebSocketRefusal(status: response.status, fields: response.fields, body: body ?? [])
        }
        let chosen = response.fields["Sec-WebSocket-Protocol"]
        guard response.fields.list("Upgrade", contains: "websocket"),
            response.fields.list("Connection", contains: "upgrade"),
            response.fields["Sec-WebSocket-Accept"] == WebSocketHandshake.accept(for: key),
            response.fields["Sec-WebSocket-Extensions"] == nil,
            chosen.map(subprotocols.contains) ?? true
        else { throw EdgeError(.corrupt, "the server's WebSocket handshake is not valid", side: .upstream) }
        handOver()
        return WebSocket(
            over: stream, role: .client, subprotocol: chosen, maxMessageBytes: maxMessageBytes,
            configuration: configuration)
    }
}
