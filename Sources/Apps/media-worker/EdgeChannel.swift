import Glibc
import WorkerProtocol

/// The worker's end of the socket to the edge: frames, one at a time, blocking.
final class EdgeChannel {
    let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Waits for the edge's next message.
    func receive(maxBodyBytes: Int) throws(WorkerFailure) -> EdgeMessage {
        var frame = try receive(count: WorkerProtocol.headerCount)
        let length = Int(frame[0]) << 24 | Int(frame[1]) << 16 | Int(frame[2]) << 8 | Int(frame[3])
        guard 1...(maxBodyBytes + 1) ~= length else { throw .job }
        frame += try receive(count: length - 1)
        do {
            if let (message, _) = try EdgeMessage.parse(frame.span.bytes, maxBodyBytes: maxBodyBytes) { return message }
        } catch {}
        throw .job
    }

    func send(_ message: WorkerMessage) throws(WorkerFailure) {
        let frame = message.frame
        var sent = 0
        while sent < frame.count {
            let count = frame.withUnsafeBytes { bytes in
                Glibc.send(descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno != EINTR {
                throw .input
            }
        }
    }

    private func receive(count: Int) throws(WorkerFailure) -> [UInt8] {
        var ended = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let received = recv(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, 0)
                if received > 0 {
                    filled += received
                } else if received == 0 || errno != EINTR {
                    ended = true
                    return
                }
            }
        }
        if ended { throw .input }
        return bytes
    }
}
