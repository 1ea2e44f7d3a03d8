import COpenSSL

/// The protocols that a side speaks, in the order of preference (RFC 7301).
final class ALPNProtocols: Sendable {
    let names: [[UInt8]]

    init(_ names: [String]) {
        self.names = names.map { Array($0.utf8) }
    }

    /// As a client hello carries them: each behind its length.
    var wire: [UInt8] { names.flatMap { [UInt8($0.count)] + $0 } }

    /// The first of ours that is among what a client offers.
    func choose(from offered: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
        for wanted in names {
            var offset = 0
            while offset < offered.count {
                let count = Int(offered[offset])
                guard offset + 1 + count <= offered.count else { return nil }
                let name = UnsafeBufferPointer(rebasing: offered[offset + 1..<offset + 1 + count])
                if name.elementsEqual(wanted) { return name }
                offset += 1 + count
            }
        }
        return nil
    }
}

/// OpenSSL's callback for a server's choice; its argument is an `ALPNProtocols`.
func selectALPNProtocol(
    session: OpaquePointer?, chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    chosenCount: UnsafeMutablePointer<UInt8>?,
    offered: UnsafePointer<UInt8>?, offeredCount: UInt32, argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let argument, let offered else { return SSL_TLSEXT_ERR_NOACK }
    let protocols = Unmanaged<ALPNProtocols>.fromOpaque(argument).takeUnretainedValue()
    guard let name = protocols.choose(from: UnsafeBufferPointer(start: offered, count: Int(offeredCount))) else {
        return SSL_TLSEXT_ERR_NOACK
    }
    chosen?.pointee = name.baseAddress
    chosenCount?.pointee = UInt8(name.count)
    return SSL_TLSEXT_ERR_OK
}
