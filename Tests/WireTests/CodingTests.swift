import Base
import Testing
import Wire

@Suite struct CodingTests {
    @Test(arguments: 0..<400 as Range<UInt64>)
    func everyFrameSurvivesBothCodings(seed: UInt64) throws {
        var random = RandomFrames(seed: seed)
        let client = random.clientFrame()
        #expect(try ClientFrame(json: client.json) == client)
        let server = random.serverFrame()
        #expect(try ServerFrame(json: server.json) == server)
        let frame = random.uplinkFrame()
        #expect(try decode(try frame.encoded()) == frame)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func damagedUplinkFramesAreRefusedOrRead(seed: UInt64) throws {
        var random = RandomFrames(seed: seed)
        var bytes = try random.uplinkFrame().encoded()
        for _ in 0..<3 where bytes.count > 13 {
            switch random.number(0...2) {
            case 0: bytes[Int(random.number(4...UInt64(bytes.count - 1)))] = UInt8(random.number(0...255))
            case 1: bytes.removeLast(Int(random.number(0...UInt64(bytes.count - 13))))
            default: bytes.insert(contentsOf: random.bytes(3), at: Int(random.number(13...UInt64(bytes.count))))
            }
        }
        let length = UInt32(bytes.count - 4)
        bytes.replaceSubrange(0..<4, with: (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) })
        if let frame = try? decode(bytes) {
            #expect(try decode(try frame.encoded()) == frame)
        }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func damagedTextFramesAreRefusedOrRead(seed: UInt64) throws {
        var random = RandomFrames(seed: seed)
        var bytes = Array(random.clientFrame().json.utf8)
        for _ in 0..<3 {
            bytes[Int(random.number(0...UInt64(bytes.count - 1)))] = UInt8(random.number(0x20...0x7E))
        }
        if let frame = try? ClientFrame(json: String(decoding: bytes, as: UTF8.self)) {
            #expect(try ClientFrame(json: frame.json) == frame)
        }
    }

    @Test func unknownFieldsAreSkipped() throws {
        // Field 900 as a varint, 901 as 64 bits, 902 as bytes, 903 as 32 bits, behind a ping.
        var frame = try UplinkFrame.request(id: 7, .ping(sentNanoseconds: 5)).encoded()
        frame += [0xA0, 0x38, 0x01]
        frame += [0xA9, 0x38] + [UInt8](repeating: 9, count: 8)
        frame += [0xB2, 0x38, 0x02, 1, 2]
        frame += [0xBD, 0x38, 1, 2, 3, 4]
        frame[3] = UInt8(frame.count - 4)
        #expect(try decode(frame) == .request(id: 7, .ping(sentNanoseconds: 5)))
    }

    @Test func groupsOverlongVarintsAndCutFieldsAreMalformed() throws {
        let bodies: [[UInt8]] = [
            [0x0B], [0x08], [0x08, 0x80], [0x0A, 0x05, 1], [0x00, 0x01],
            [0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x02], [0x0D, 1, 2, 3],
        ]
        for body in bodies {
            let head: [UInt8] = [0, 0, 0, UInt8(9 + body.count), 0x07, 0, 0, 0, 0, 0, 0, 0, 1]
            #expect(throws: WireError.malformed) { try decode(head + body) }
        }
    }

    @Test func headsAreBounded() throws {
        #expect(throws: WireError.malformed) { try UplinkFrame.Head([0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0]) }
        #expect(throws: WireError.tooLarge(field: "frame", limit: WireLimits.maxUplinkFrameBytes)) {
            try UplinkFrame.Head([0xFF, 0xFF, 0xFF, 0xFF, 7, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        let unknown = try UplinkFrame.Head([0, 0, 0, 9, 0x3E, 0, 0, 0, 0, 0, 0, 0, 4])
        #expect(unknown.group == .request && unknown.requestID == 4 && unknown.bodyBytes == 0)
        #expect(throws: WireError.unknownType("62", allowed: [])) { try UplinkFrame(unknown, body: []) }
        let many = CentralNotice.mediaPurge(objects: Array(repeating: UUID(high: 1, low: 2), count: 120_000))
        #expect(throws: WireError.tooLarge(field: "frame", limit: WireLimits.maxUplinkFrameBytes)) {
            try UplinkFrame.centralNotice(many).encoded()
        }
    }

    private func decode(_ bytes: [UInt8]) throws -> UplinkFrame {
        let head = try UplinkFrame.Head(bytes)
        #expect(head.bodyBytes == bytes.count - UplinkFrame.Head.byteCount)
        return try UplinkFrame(head, body: Array(bytes.dropFirst(UplinkFrame.Head.byteCount)))
    }
}
