import BenchmarkSupport
import CLoadGenerator
import Glibc

/// Clients of a server, with a socket each.
final class TURNClients {
    private(set) var native: [skerry_turn_client]
    private var credentials = skerry_turn_credentials()
    private let username: UnsafeMutablePointer<CChar>
    private let password: UnsafeMutablePointer<CChar>
    private static let inFlight: Int32 = 64

    init(_ count: Int, of server: RunningContender) throws {
        username = strdup(server.username)
        password = strdup(server.password)
        credentials.username = UnsafePointer(username)
        credentials.password = UnsafePointer(password)
        native = []
        native.reserveCapacity(count)
        for _ in 0..<count {
            var client = skerry_turn_client()
            client.socket = try connectedSocket(to: server.port)
            native.append(client)
        }
    }

    deinit {
        for client in native { close(client.socket) }
        free(username)
        free(password)
    }

    /// Sends an Allocate without credentials for each and waits for the 401.
    func challenge() throws {
        try perform("challenged") { skerry_turn_challenge(&native, Int32(native.count), Self.inFlight, &$0) }
    }

    /// Allocates for the first so many, but for those that have an allocation.
    func allocate(_ count: Int) throws {
        try perform("allocations") {
            skerry_turn_allocate(&native, Int32(count), Self.inFlight, &credentials, &$0)
        }
    }

    /// Binds a channel of each to a peer of its own.
    func bind(_ channel: UInt16, to peerPorts: [UInt16]) throws {
        precondition(peerPorts.count == native.count)
        try perform("channels") {
            skerry_turn_bind(
                &native, peerPorts, Int32(native.count), channel, Self.inFlight, &credentials, &$0)
        }
    }

    private func perform(_ what: String, _ body: (inout skerry_turn_tally) -> Void) throws {
        var tally = skerry_turn_tally()
        body(&tally)
        guard tally.failed == 0 else {
            throw BenchError("\(what): \(tally.done) done, \(tally.failed) failed, with \(tally.last_error) at the end")
        }
        if tally.repeated > 0 { note("\(what): \(tally.repeated) requests were not answered at once") }
    }
}

/// A socket of ours that sends to a port of 127.0.0.1.
func connectedSocket(to port: UInt16) throws -> Int32 {
    let socket = skerry_udp_bind(1 << 20)
    guard socket >= 0 else { throw BenchError("no socket") }
    guard skerry_udp_connect(socket, port) == 0 else {
        close(socket)
        throw BenchError("a socket cannot be connected")
    }
    return socket
}
