import CShims
import Glibc

/// Memory that all TLS connections of a loop use in turn: sealed bytes on their way in and out, and plain ones before they are sealed.
/// A connection that waits keeps none of it.
final class TLSScratch {
    /// What one turn of a connection takes in or seals at most.
    static let turnBytes = 64 * 1024

    /// What OpenSSL reads from and writes to.
    let sealed: UnsafeMutablePointer<skerry_tls_scratch>
    /// Sealed bytes as they come from the kernel, or plain ones that are gathered for one record.
    let bytes: UnsafeMutableRawBufferPointer

    init() {
        sealed = .allocate(capacity: 1)
        sealed.initialize(to: skerry_tls_scratch())
        bytes = .allocate(byteCount: Self.turnBytes, alignment: 64)
    }

    deinit {
        free(sealed.pointee.output)
        sealed.deallocate()
        bytes.deallocate()
    }
}

extension EventLoop {
    /// Made with the loop's first TLS connection.
    var tlsScratch: TLSScratch {
        if let sharedTLSScratch { return sharedTLSScratch }
        let created = TLSScratch()
        sharedTLSScratch = created
        return created
    }
}
