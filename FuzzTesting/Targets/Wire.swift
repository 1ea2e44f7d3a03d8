import Base
import Wire
import WorkerProtocol

extension FuzzTarget {
    /// Text frames of clients.
    static let clientFrame = FuzzTarget("client-frame") { input throws(BrokenProperty) in
        let text = String(decoding: input, as: UTF8.self)
        guard let frame = try? ClientFrame(json: text) else {
            _ = ClientFrame.id(inRefused: text)
            return
        }
        let again = try held("what was written is refused") { () throws(WireError) in try ClientFrame(json: frame.json)
        }
        try holdEqual(again, frame, "the frame that was written")
        try checkUplink(.edgeNotice(.sessionFrame(session: 7, frame)))
    }

    /// Text frames of the server, as clients read them.
    static let serverFrame = FuzzTarget("server-frame") { input throws(BrokenProperty) in
        guard let frame = try? ServerFrame(json: String(decoding: input, as: UTF8.self)) else { return }
        let again = try held("what was written is refused") { () throws(WireError) in try ServerFrame(json: frame.json)
        }
        try holdEqual(again, frame, "the frame that was written")
        try checkUplink(.centralNotice(.sessionFrame(session: 7, frame)))
    }

    /// Binary frames of the uplink.
    static let uplinkFrame = FuzzTarget("uplink-frame") { input throws(BrokenProperty) in
        guard let head = try? UplinkFrame.Head(input) else { return }
        try hold(head.bodyBytes >= 0 && head.bodyBytes <= WireLimits.maxUplinkFrameBytes, "a body of \(head.bodyBytes)")
        // The length is the fuzzer's to guess; what follows the head is the body.
        guard let frame = try? UplinkFrame(head, body: Array(input.dropFirst(UplinkFrame.Head.byteCount))) else {
            return
        }
        try checkUplink(frame)
    }

    private static func checkUplink(_ frame: UplinkFrame) throws(BrokenProperty) {
        let written = try held("a frame cannot be written") { () throws(WireError) in try frame.encoded() }
        let again = try held("what was written is refused") { () throws(WireError) in
            let head = try UplinkFrame.Head(written)
            return try UplinkFrame(head, body: Array(written.dropFirst(UplinkFrame.Head.byteCount)))
        }
        try holdEqual(again, frame, "the frame that was written")
    }

    /// What an edge and a media worker say to each other, as either reads it.
    static let workerProtocol = FuzzTarget("worker-protocol") { input throws(BrokenProperty) in
        try checkMessages(input, as: EdgeMessage.self)
        try checkMessages(input, as: WorkerMessage.self)
    }

    private static func checkMessages<Message: WorkerFramed & Equatable>(
        _ input: [UInt8], as type: Message.Type
    ) throws(BrokenProperty) {
        let messages = try decodeInPieces(input) {
            { (buffer: inout [UInt8], output: inout [Parsed<Message, WorkerProtocolError>]) in
                do throws(WorkerProtocolError) {
                    while let (message, count) = try Message.parse(buffer.span.bytes, maxBodyBytes: 1000) {
                        output.append(.value(message))
                        buffer.removeFirst(count)
                    }
                    return true
                } catch {
                    output.append(.failure(error))
                    return false
                }
            }
        }
        for case .value(let message) in messages {
            let written = message.frame
            let again = try held("what was written is refused") { () throws(WorkerProtocolError) in
                try Message.parse(written.span.bytes, maxBodyBytes: 1000)
            }
            try holdEqual(again?.message, message, "the message that was written")
            try holdEqual(again?.count, written.count, "its bytes")
        }
    }
}
