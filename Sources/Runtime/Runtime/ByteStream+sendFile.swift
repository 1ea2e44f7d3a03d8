import CShims
import Glibc

extension ByteStream {
    /// Of one sendfile: more than the kernel takes at once, so that it is never waited for without need.
    static let fileBytes = 2 << 20

    /// Sends a part of a file, by sendfile on a plain connection. What the page cache does not have is read in by another thread
    /// first, so that the loop does not wait for a disk.
    ///
    /// - Parameter progress: told each time how many more bytes have gone.
    /// - Throws: `StreamError.failed` also when the file ends before `count` bytes.
    public func sendFile(
        _ file: Int32, offset: Int64, count: Int, progress: (Int) -> Void = { _ in }
    ) async throws(StreamError) {
        loop.preconditionOnLoop()
        var offset = offset
        var left = count
        // Asked once for each part: the question costs as much as sending a tenth of it.
        var residentEnd = offset
        while left > 0 {
            try throwIfUnsendable()
            if session != nil {
                let sent = try await sendSealedFile(file, offset: offset, atMost: left)
                offset += Int64(sent)
                left -= sent
                progress(sent)
            } else {
                if offset == residentEnd {
                    let part = min(left, Self.fileBytes)
                    try await makeResident(file, offset: offset, count: part)
                    try throwIfUnsendable()
                    residentEnd += Int64(part)
                }
                let sent = skerry_sendfile(descriptor, file, offset, Int(residentEnd - offset))
                if sent > 0 {
                    offset += Int64(sent)
                    left -= sent
                    progress(sent)
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

    /// Waits until the page cache has the range, or what the file has of it.
    func makeResident(_ file: Int32, offset: Int64, count: Int) async throws(StreamError) {
        do {
            try await loop.fileReads.makeResident(file, offset: offset, count: count)
        } catch let error as SystemError {
            throw .failed(error)
        } catch {
            throw .failed(SystemError("pread", EAGAIN))
        }
    }
}
