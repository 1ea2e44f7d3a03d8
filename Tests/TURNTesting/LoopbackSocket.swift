package import Base
import Glibc

/// A blocking UDP socket on 127.0.0.1, with a time limit on what it waits for.
package final class LoopbackSocket {
    package struct Failure: Error, CustomStringConvertible {
        package let operation: String
        package let code: Int32
        package var description: String { "\(operation): \(String(cString: strerror(code)))" }

        init(_ operation: String) {
            self.operation = operation
            code = errno
        }
    }

    package let descriptor: Int32
    package let localAddress: SocketAddress

    /// - Parameters:
    ///   - port: where it is bound; 0 for a port of the kernel's choice.
    ///   - bufferBytes: of the kernel's queues; nil for its default.
    package init(port: UInt16 = 0, bufferBytes: Int32? = nil) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("socket") }
        self.descriptor = descriptor
        var address = Self.native(SocketAddress(.loopbackV4, port: port))
        var count = socklen_t(MemoryLayout<sockaddr_in>.size)
        let named = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, count) == 0 && getsockname(descriptor, $0, &count) == 0
            }
        }
        localAddress = SocketAddress(.loopbackV4, port: UInt16(bigEndian: address.sin_port))
        guard named else { throw Failure("bind") }
        if let bufferBytes {
            var bytes = bufferBytes
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
            setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    deinit { close(descriptor) }

    /// From now on datagrams go to this address, and come only from it.
    package func connect(to remote: SocketAddress) throws {
        var address = Self.native(remote)
        let done = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard done == 0 else { throw Failure("connect") }
    }

    /// Sends to the address that the socket is connected to.
    package func send(_ bytes: [UInt8]) throws {
        let sent = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard sent == bytes.count else { throw Failure("send") }
    }

    /// The next datagram, or nil when none came in time.
    package func receive(timeoutMs: Int32 = 5000) -> [UInt8]? {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, timeoutMs) == 1 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: 2048) { buffer, count in
            count = max(0, recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)))
        }
    }

    /// Takes the next datagram for where it came from.
    package func source(timeoutMs: Int32 = 5000) -> SocketAddress? {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, timeoutMs) == 1 else { return nil }
        var source = sockaddr_in()
        var count = socklen_t(MemoryLayout<sockaddr_in>.size)
        let received = withUnsafeMutablePointer(to: &source) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, nil, 0, Int32(MSG_DONTWAIT), $0, &count)
            }
        }
        guard received >= 0 else { return nil }
        return SocketAddress(
            IPAddress(v4: UInt32(bigEndian: source.sin_addr.s_addr)), port: UInt16(bigEndian: source.sin_port))
    }

    /// The next datagram that is no answer to a request: a request that was sent again on a busy machine is answered again.
    package func receiveRelayed(timeoutMs: Int32 = 5000) -> [UInt8]? {
        while let datagram = receive(timeoutMs: timeoutMs) {
            let isAnswer = datagram.count >= 2 && datagram[0] & 0xC0 == 0 && datagram[0] & 0x01 == 0x01
            if !isAnswer { return datagram }
        }
        return nil
    }

    private static func native(_ address: SocketAddress) -> sockaddr_in {
        precondition(address.ip.family == .v4)
        var native = sockaddr_in()
        native.sin_family = sa_family_t(AF_INET)
        native.sin_port = address.port.bigEndian
        native.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.ip.low).bigEndian
        return native
    }
}
