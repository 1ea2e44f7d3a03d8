public import Base
import Glibc

extension SocketAddress {
    /// The address with a port of the kernel's choice that is free for TCP and UDP alike; itself where it has a port.
    ///
    /// Nothing keeps the port for the caller, who binds it next.
    public func withFreePort() throws(SystemError) -> SocketAddress {
        guard port == 0 else { return self }
        for _ in 0..<64 {
            let stream = OwnedDescriptor(try bindSocket(SOCK_STREAM, to: self, reusePort: false, isFirst: true))
            guard let chosen = SocketAddress(of: stream.number, getsockname) else { throw SystemError("getsockname") }
            if let datagrams = try? bindSocket(SOCK_DGRAM, to: chosen, reusePort: false, isFirst: true) {
                Glibc.close(datagrams)
                return chosen
            }
        }
        throw SystemError("bind")
    }
}
