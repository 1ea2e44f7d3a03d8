import Base
import BenchmarkSupport
import CLoadGenerator
import Glibc
import Runtime

/// The least that UDP servers can do, on our sockets and in C.
enum UDPBenchServer {
    enum Role: String {
        /// Sends every datagram back to where it came from.
        case echo
        /// Sends what one socket receives from the other, to whoever was heard there last.
        case relay
    }

    private static let bufferBytes = 1 << 20

    /// Prints the ports, and serves until the process is killed.
    static func run(_ role: Role) throws -> Never {
        let loops = try EventLoopGroup(count: 1, name: "udp")
        let loop = loops.loops[0]
        let sockets = try (0..<(role == .echo ? 1 : 2)).map { _ in
            try UDPSocket(bind: SocketAddress(.loopbackV4, port: 0), on: loop, bufferBytes: bufferBytes)
        }
        loop.execute {
            do {
                switch role {
                case .echo: try echo(sockets[0])
                case .relay: try relay(sockets[0], sockets[1])
                }
            } catch {
                note("runtime-bench: \(error)")
                exit(1)
            }
        }
        say(sockets.map { "\($0.localAddress.port)" }.joined(separator: " "))
        while true { pause() }
    }

    private static func echo(_ socket: UDPSocket) throws {
        try socket.start { datagram, source, _ in _ = socket.send(UnsafeRawBufferPointer(datagram), to: source) }
    }

    /// Who was heard last on either side.
    private final class Sides {
        var first: SocketAddress?
        var second: SocketAddress?
    }

    private static func relay(_ first: UDPSocket, _ second: UDPSocket) throws {
        let sides = Sides()
        try first.start { datagram, source, _ in
            sides.first = source
            if let target = sides.second { _ = second.send(UnsafeRawBufferPointer(datagram), to: target) }
        }
        try second.start { datagram, source, _ in
            sides.second = source
            if let target = sides.first { _ = first.send(UnsafeRawBufferPointer(datagram), to: target) }
        }
    }

    /// The same in C; does not return either.
    static func runInC(_ role: Role) throws {
        let sockets = (0..<(role == .echo ? 1 : 2)).map { _ in skerry_udp_bind(Int32(bufferBytes)) }
        guard sockets.allSatisfy({ $0 >= 0 }) else { throw BenchError("no socket") }
        say(sockets.map { "\(skerry_udp_port($0))" }.joined(separator: " "))
        switch role {
        case .echo: skerry_udp_echo(sockets[0])
        case .relay: skerry_udp_relay(sockets[0], sockets[1])
        }
        throw BenchError("the socket has failed")
    }
}
