import CShims
import Glibc

extension ByteStream {
    /// Sends a part of a file, by sendfile on a plain connection.
    ///
    /// - Throws: `StreamError.failed` also when the file ends before `count` bytes.
    public func sendFile(_ file: Int32, offset: Int64, count: Int) async throws(StreamError) {
        loop.preconditionOnLoop()
        var offset = offset
        var left = count
        while left > 0 {
            try throwIfUnsendable()
            if session != nil {
                let sent = try await sendSealedFile(file, offset: offset, atMost: left)
                offset += Int64(sent)
                left -= sent
            } else {
                let sent = skerry_sendfile(descriptor, file, offset, min(left, 1 << 20))
                if sent > 0 {
                    offset += Int64(sent)
                    left -= sent
                    await giveOthersTheirTurn()
                } else if sent == 0 {
                    throw .failed(SystemError("sendfile", EIO))
                } else {
                    errno = Int32(-sent)
                    try await waitUntilWritable("sendfile")
                }
            }
        }
    }
}
