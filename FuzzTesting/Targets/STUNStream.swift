import STUN

extension FuzzTarget {
    /// Messages in a byte stream, as TURN over TCP and TLS has them.
    static let stunStream = FuzzTarget("stun-stream") { input throws(BrokenProperty) in
        for maxMessageByteCount in [65_555, 60] {
            let framer = STUNStreamFramer(maxMessageByteCount: maxMessageByteCount)
            let messages = try decodeInPieces(input) {
                { (buffer: inout [UInt8], output: inout [Parsed<[UInt8], STUNError>]) in
                    do throws(STUNError) {
                        while let frame = try framer.next(buffer.span.bytes) {
                            output.append(.value(Array(buffer[..<frame.messageByteCount])))
                            buffer.removeFirst(frame.byteCount)
                        }
                        return true
                    } catch {
                        output.append(.failure(error))
                        return false
                    }
                }
            }
            for case .value(let message) in messages {
                try hold(message.count <= maxMessageByteCount, "a message beyond the bound")
                try hold(DatagramKind(firstByte: message[0]) != .other, "a message of another protocol")
                if DatagramKind(firstByte: message[0]) == .channelData, message[0] >= 0x40 {
                    let header = try held(ChannelData.read(message.span.bytes), "channel data that is none")
                    try hold(header.payload == 4..<message.count, "channel data with something behind it")
                }
            }
        }
    }
}
