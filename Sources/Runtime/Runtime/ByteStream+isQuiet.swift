import Glibc

extension ByteStream {
    /// Whether nothing has arrived that was not received yet, nor the end: a look at the kernel. Under TLS, records of the
    /// protocol itself count, too.
    public var isQuiet: Bool {
        loop.preconditionOnLoop()
        guard descriptor >= 0, failure == nil, inbound.isEmpty, !hasReceivedEnd else { return false }
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK)) < 0 && errno == EAGAIN
    }
}
