import Testing
import WorkerProtocol

@Suite struct WorkerMessagesTests {
    static let job = WorkerJob(
        kind: .thumbnail, width: 320, quality: 80, inputBytes: 1 << 40,
        limits: WorkerJob.Limits(
            maxPixels: 1 << 33, maxInputBytes: 3, maxFrames: 4, maxOutputBytes: 5, memoryBytes: 6, cpuSeconds: 7))

    @Test(arguments: [EdgeMessage.job(job), .data([]), .data([1, 2, 3]), .inputFailed])
    func edgeMessagesComeBack(_ message: EdgeMessage) throws {
        try comesBack(message)
    }

    @Test(arguments: [
        WorkerMessage.read(offset: .max, count: 65_536), .image(width: 1, height: 16_383, bytes: [9]),
        .failed(.corrupt),
    ])
    func workerMessagesComeBack(_ message: WorkerMessage) throws {
        try comesBack(message)
    }

    private func comesBack<Message: WorkerFramed & Equatable>(_ message: Message) throws {
        let frame = message.frame
        for count in 0..<frame.count {
            #expect(try Message.parse(Array(frame[..<count]).span.bytes, maxBodyBytes: 1000) == nil)
        }
        let parsed = try #require(try Message.parse((frame + [7, 7]).span.bytes, maxBodyBytes: 1000))
        #expect(parsed.message == message)
        #expect(parsed.count == frame.count)
    }

    @Test func aLongBodyIsRefusedAtItsLength() {
        #expect(throws: WorkerProtocolError.badLength) {
            _ = try WorkerMessage.parse([0, 0, 4, 0].span.bytes, maxBodyBytes: 1000)
        }
        #expect(throws: WorkerProtocolError.badLength) {
            _ = try WorkerMessage.parse([0, 0, 0, 0].span.bytes, maxBodyBytes: 1000)
        }
    }

    @Test(
        arguments: [
            [17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  // reads nothing
            [17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1],  // reads more than allowed
            [18, 0, 0, 0, 0, 0, 0, 0, 1, 1],  // no width
            [18, 0, 0, 64, 0, 0, 0, 0, 1, 1],  // wider than WebP can be
            [19, 0], [19, 99], [1], [255],
        ] as [[UInt8]])
    func whatAWorkerMustNotSayIsRefused(_ content: [UInt8]) {
        let frame = [0, 0, 0, UInt8(content.count)] + content
        #expect(throws: WorkerProtocolError.self) { _ = try WorkerMessage.parse(frame.span.bytes, maxBodyBytes: 1000) }
    }

    @Test func anotherVersionIsRefused() {
        var frame = EdgeMessage.job(Self.job).frame
        frame[5] = 2
        #expect(throws: WorkerProtocolError.badValue) {
            _ = try EdgeMessage.parse(frame.span.bytes, maxBodyBytes: 1000)
        }
    }

    @Test func anyBytesAreSurvived() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...70, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if bytes.count > 4 { bytes.replaceSubrange(0..<4, with: [0, 0, 0, UInt8(bytes.count - 4)]) }
            _ = try? WorkerMessage.parse(bytes.span.bytes, maxBodyBytes: 1000)
            _ = try? EdgeMessage.parse(bytes.span.bytes, maxBodyBytes: 1000)
        }
    }
}
