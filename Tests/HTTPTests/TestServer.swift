import Base
import HTTP
import HTTPCodec
import Runtime
import Synchronization

/// A server on a loopback port with loops of its own.
final class TestServer: Sendable {
    let group: EventLoopGroup
    let server: HTTPServer
    let metrics = MetricsRegistry()
    let address: SocketAddress
    let client: HTTPClient
    private let shutdown = Shutdown()
    private let running: Task<Void, any Error>

    var loop: EventLoop { group.loops[0] }
    var url: String { "http://\(address)" }

    private init(
        _ routes: HTTPRoutes, _ configuration: HTTPServer.Configuration, tls: TLSContext?, clientTLS: TLSContext?,
        protocols: [String: EdgeListener.ConnectionHandler], clientConfiguration: HTTPClient.Configuration
    ) throws {
        group = try EventLoopGroup(count: 2, name: "test")
        let logger = Logger(label: "test", sink: SilentLogSink())
        server = HTTPServer(configuration: configuration, routes: routes, logger: logger, metrics: metrics)
        let listener = EdgeListener(
            on: SocketAddress(.loopbackV4, port: 0), loops: group.loops, tls: tls, allowsPlain: true, server: server,
            protocols: protocols, logger: logger, metrics: metrics)
        address = try listener.listen()
        client = HTTPClient(loop: group.loops[1], tls: clientTLS, configuration: clientConfiguration)
        running = Task { [shutdown] in try await listener.run(until: shutdown) }
    }

    /// Serves while the body runs, then drains; what does not end by itself is cut off.
    static func run(
        _ configuration: HTTPServer.Configuration = .init(), tls: TLSContext? = nil, clientTLS: TLSContext? = nil,
        protocols: [String: EdgeListener.ConnectionHandler] = [:],
        client: HTTPClient.Configuration = .init(), routes: (inout HTTPRoutes) -> Void,
        _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        var table = HTTPRoutes()
        routes(&table)
        let server = try TestServer(
            table, configuration, tls: tls, clientTLS: clientTLS, protocols: protocols, clientConfiguration: client)
        var failure: (any Error)?
        do {
            try await body(server)
        } catch {
            failure = error
        }
        await server.client.close()
        server.shutdown.request()
        let cutOff = Task {
            try await Task.sleep(for: .seconds(3))
            server.running.cancel()
        }
        _ = try? await server.running.value
        cutOff.cancel()
        server.group.shutdown()
        if let failure { throw failure }
    }

    /// Sends bytes on a connection of its own and returns all that comes back until the server closes.
    func exchange(_ text: String, half: Bool = false) async throws -> String {
        let bytes = try await onLoop { stream in
            try await stream.send(Array(text.utf8))
            if half { await stream.finish() }
            while try await stream.receive() {}
            return stream.inbound.take(stream.inbound.count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Runs the body on a loop with a fresh connection.
    func onLoop<Value: Sendable>(
        _ body: @escaping @Sendable (ByteStream) async throws -> Value
    ) async throws -> Value {
        let result = Mutex<Result<Value, any Error>?>(nil)
        await loop.spawn { [loop, address] in
            do {
                let stream = try await ByteStream.connect(to: address, on: loop, timeout: .seconds(5))
                loop.schedule(after: .seconds(20)) { [weak stream] in stream?.close(.timedOut) }
                defer { stream.close() }
                let value = try await body(stream)
                result.withLock { $0 = .success(value) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
        }.value
        return try result.withLock { result in
            guard let result else { preconditionFailure("the task has ended") }
            return try result.get()
        }
    }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
