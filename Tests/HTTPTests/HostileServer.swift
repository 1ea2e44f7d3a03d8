import Base
import HTTP
import Runtime
import Synchronization

/// A server that does with each connection what a script says, valid or not, and a client of it.
final class HostileServer: Sendable {
    typealias Script = @Sendable (_ stream: ByteStream, _ number: Int) async throws -> Void

    let client: HTTPClient
    let address: SocketAddress
    var url: String { "http://\(address)" }
    /// Connections so far.
    var connections: Int { count.load(ordering: .acquiring) }

    private let count = Atomic<Int>(0)
    private let group: EventLoopGroup
    private let listener: Mutex<TCPListener?> = .init(nil)
    private let open = Mutex<[ByteStream]>([])

    private init(_ configuration: HTTPClient.Configuration, _ script: @escaping Script) throws {
        group = try EventLoopGroup(count: 2, name: "hostile")
        client = HTTPClient(loop: group.loops[1], configuration: configuration)
        let accept = Mutex<(@Sendable (ByteStream) -> Void)?>(nil)
        let created = try TCPListener.listen(on: SocketAddress(.loopbackV4, port: 0), loops: [group.loops[0]]) {
            stream in
            accept.withLock { $0 }?(stream)
        }
        address = created.localAddress
        listener.withLock { $0 = created }
        let handler: @Sendable (ByteStream) -> Void = { [weak self] stream in
            guard let self else { return stream.close() }
            open.withLock { $0.append(stream) }
            let number = count.add(1, ordering: .acquiringAndReleasing).newValue
            stream.loop.spawn {
                try? await script(stream, number)
                stream.close()
            }
        }
        accept.withLock { $0 = handler }
    }

    static func run(
        _ configuration: HTTPClient.Configuration = .init(), script: @escaping Script,
        _ body: @Sendable (HostileServer) async throws -> Void
    ) async throws {
        let server = try HostileServer(configuration, script)
        var failure: (any Error)?
        do {
            try await body(server)
        } catch {
            failure = error
        }
        await server.client.close()
        server.listener.withLock { $0?.close() }
        let streams = server.open.withLock { $0 }
        await server.group.loops[0].spawn { for stream in streams { stream.close() } }.value
        server.group.shutdown()
        if let failure { throw failure }
    }
}

extension ByteStream {
    /// Reads up to the end of a head, and returns it; nil at the end of the stream.
    func head() async throws -> String? {
        while true {
            let text = inbound.withBytes { String(decoding: $0, as: UTF8.self) }
            if let end = text.firstRange(of: "\r\n\r\n") {
                let head = String(text[..<end.upperBound])
                inbound.consume(head.utf8.count)
                return head
            }
            guard try await receive() else { return nil }
        }
    }

    func send(text: String) async throws { try await send(Array(text.utf8)) }
}
