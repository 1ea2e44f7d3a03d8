import Base
import Glibc
import Runtime

/// A DTLS server for the clients of Tests/Interop: each record comes back. It has no use but to be tested.
///
///     dtls-echo-server CERTIFICATE PRIVATE-KEY MAX-DATAGRAM-BYTES
///
/// Listens on a port of 127.0.0.1 that it prints, until SIGTERM. It offers the protocols `stun.turn` and `echo`, and SRTP. The
/// record `tell keys` is answered with the SRTP profile and the exported keys, `tell count` with the number of associations.
@main
enum DTLSEchoServer {
    /// Not asynchronous: the main queue that such a main brings along lets signals through.
    static func main() throws {
        ServiceGroup.blockSignals()
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let maxDatagramBytes = Int(arguments[3]) else {
            throw SystemError("usage: dtls-echo-server CERTIFICATE PRIVATE-KEY MAX-DATAGRAM-BYTES", EINVAL)
        }
        let context = try DTLSContext.server(
            certificatePEM: String(decoding: FileSystem.read(arguments[1]), as: UTF8.self),
            privateKeyPEM: String(decoding: FileSystem.read(arguments[2]), as: UTF8.self),
            protocols: ["stun.turn", "echo"], offersSRTP: true)
        let loops = try EventLoopGroup(count: 1, name: "dtls")
        let echo = DTLSEcho(context, maxDatagramBytes: maxDatagramBytes, on: loops.loops[0])
        let logger = Logger(label: "dtls-echo", level: .warning, sink: StandardErrorLogSink())
        loops.loops[0].spawn {
            do {
                try await ServiceGroup.run([echo], on: loops.loops[0], drainTimeout: .seconds(2), logger: logger)
                exit(0)
            } catch {
                logger.error("cannot go on", metadata: ["error": "\(error)"])
                exit(1)
            }
        }
        while true { pause() }
    }
}

/// `@unchecked Sendable`: its state is used on the loop alone.
private final class DTLSEcho: Service, DTLSServerHandler, @unchecked Sendable {
    private let loop: EventLoop
    private let context: DTLSContext
    private let maxDatagramBytes: Int
    private var server: DTLSServer?
    private var socket: UDPSocket?

    init(_ context: DTLSContext, maxDatagramBytes: Int, on loop: EventLoop) {
        self.context = context
        self.maxDatagramBytes = maxDatagramBytes
        self.loop = loop
    }

    func run(until shutdown: Shutdown) async throws {
        let socket = try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop)
        await loop.spawn { self.start(socket) }.value
        print(socket.localAddress.port)
        fflush(nil)
        await shutdown.wait()
        await loop.spawn { self.stop() }.value
    }

    private func start(_ socket: UDPSocket) {
        var configuration = DTLSServer.Configuration()
        configuration.maxDatagramBytes = maxDatagramBytes
        configuration.firstRetransmissionMs = 100
        let server = DTLSServer(context, on: loop, configuration: configuration, handler: self) {
            datagram, destination, _ in
            socket.send(datagram, to: destination)
        }
        self.server = server
        self.socket = socket
        do {
            try socket.start { datagram, source, _ in server.receive(UnsafeRawBufferPointer(datagram), from: source) }
        } catch {
            preconditionFailure("a fresh socket cannot be watched: \(error)")
        }
    }

    private func stop() {
        server?.close()
        socket?.close()
    }

    func associationOpened(_ association: DTLSAssociation) {}
    func associationClosed(_ association: DTLSAssociation) {}

    func association(_ association: DTLSAssociation, received record: UnsafeMutableRawBufferPointer) {
        let text = String(decoding: record, as: UTF8.self)
        switch text.split(separator: "\n").first {
        case "tell keys":
            let keys = association.exportKeyingMaterial(label: "EXTRACTOR-dtls_srtp", count: 60)
            reply("\(association.srtpProfile ?? "none") \(Hex.encode(keys))\n", association)
        case "tell count": reply("\(server?.count ?? 0)\n", association)
        default: association.send(UnsafeRawBufferPointer(record))
        }
    }

    private func reply(_ text: String, _ association: DTLSAssociation) {
        Array(text.utf8).withUnsafeBytes { _ = association.send($0) }
    }
}
