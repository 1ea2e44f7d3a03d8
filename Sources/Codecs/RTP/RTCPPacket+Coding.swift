import Base

extension RTCPPacket {
    /// Reads a compound packet.
    package static func parse(_ bytes: RawSpan) throws(RTPError) -> [RTCPPacket] {
        var packets: [RTCPPacket] = []
        var offset = 0
        while offset < bytes.byteCount {
            guard bytes.byteCount - offset >= 4 else { throw .truncated }
            let first = bytes.bigEndian(at: offset, as: UInt8.self)
            guard first >> 6 == 2 else { throw .notRTP }
            let count = 4 * (1 + Int(bytes.bigEndian(at: offset + 2, as: UInt16.self)))
            guard count <= bytes.byteCount - offset else { throw .truncated }
            packets.append(
                try parseOne(
                    bytes.extracting(offset..<offset + count), itemCount: Int(first & 0x1F),
                    type: bytes.bigEndian(at: offset + 1, as: UInt8.self)))
            offset += count
        }
        guard !packets.isEmpty else { throw .truncated }
        return packets
    }

    private static func parseOne(_ bytes: RawSpan, itemCount: Int, type: UInt8) throws(RTPError) -> RTCPPacket {
        switch type {
        case 200:
            guard bytes.byteCount >= 28 + itemCount * ReportBlock.byteCount else { throw .truncated }
            return .senderReport(
                SenderReport(
                    ssrc: bytes.bigEndian(at: 4, as: UInt32.self),
                    ntpTimestamp: bytes.bigEndian(at: 8, as: UInt64.self),
                    rtpTimestamp: bytes.bigEndian(at: 16, as: UInt32.self),
                    packetCount: bytes.bigEndian(at: 20, as: UInt32.self),
                    byteCount: bytes.bigEndian(at: 24, as: UInt32.self),
                    blocks: readBlocks(bytes, at: 28, count: itemCount)))
        case 201:
            guard bytes.byteCount >= 8 + itemCount * ReportBlock.byteCount else { throw .truncated }
            return .receiverReport(
                ssrc: bytes.bigEndian(at: 4, as: UInt32.self), blocks: readBlocks(bytes, at: 8, count: itemCount))
        case 203:
            guard bytes.byteCount >= 4 + 4 * itemCount else { throw .truncated }
            var ssrcs: [UInt32] = []
            for index in 0..<itemCount { ssrcs.append(bytes.bigEndian(at: 4 + 4 * index, as: UInt32.self)) }
            return .goodbye(ssrcs: ssrcs)
        default:
            return .other(type)
        }
    }

    private static func readBlocks(_ bytes: RawSpan, at start: Int, count: Int) -> [ReportBlock] {
        var blocks: [ReportBlock] = []
        for index in 0..<count {
            let offset = start + index * ReportBlock.byteCount
            let loss = bytes.bigEndian(at: offset + 4, as: UInt32.self)
            blocks.append(
                ReportBlock(
                    ssrc: bytes.bigEndian(at: offset, as: UInt32.self), fractionLost: UInt8(loss >> 24),
                    // 24 bits with a sign.
                    cumulativeLost: Int32(bitPattern: loss << 8) >> 8,
                    highestSequenceNumber: bytes.bigEndian(at: offset + 8, as: UInt32.self),
                    jitter: bytes.bigEndian(at: offset + 12, as: UInt32.self),
                    lastSenderReport: bytes.bigEndian(at: offset + 16, as: UInt32.self),
                    delaySinceLastSenderReport: bytes.bigEndian(at: offset + 20, as: UInt32.self)))
        }
        return blocks
    }

    /// A compound packet.
    package static func encode(_ packets: [RTCPPacket]) -> [UInt8] {
        packets.reduce(into: []) { bytes, packet in packet.append(to: &bytes) }
    }

    private func append(to bytes: inout [UInt8]) {
        func header(_ type: UInt8, itemCount: Int, byteCount: Int) {
            precondition(itemCount < 32 && byteCount % 4 == 0)
            bytes.append(2 << 6 | UInt8(itemCount))
            bytes.append(type)
            bytes.append(bigEndian: UInt16(byteCount / 4 - 1))
        }
        switch self {
        case .senderReport(let report):
            header(
                200, itemCount: report.blocks.count, byteCount: 28 + report.blocks.count * ReportBlock.byteCount)
            bytes.append(bigEndian: report.ssrc)
            bytes.append(bigEndian: report.ntpTimestamp)
            bytes.append(bigEndian: report.rtpTimestamp)
            bytes.append(bigEndian: report.packetCount)
            bytes.append(bigEndian: report.byteCount)
            for block in report.blocks { block.append(to: &bytes) }
        case .receiverReport(let ssrc, let blocks):
            header(201, itemCount: blocks.count, byteCount: 8 + blocks.count * ReportBlock.byteCount)
            bytes.append(bigEndian: ssrc)
            for block in blocks { block.append(to: &bytes) }
        case .goodbye(let ssrcs):
            header(203, itemCount: ssrcs.count, byteCount: 4 + 4 * ssrcs.count)
            for ssrc in ssrcs { bytes.append(bigEndian: ssrc) }
        case .other:
            preconditionFailure("only what we read is written")
        }
    }
}

extension RTCPPacket.ReportBlock {
    fileprivate func append(to bytes: inout [UInt8]) {
        bytes.append(bigEndian: ssrc)
        let lost = UInt32(bitPattern: min(max(cumulativeLost, -0x80_0000), 0x7F_FFFF)) & 0xFF_FFFF
        bytes.append(bigEndian: UInt32(fractionLost) << 24 | lost)
        bytes.append(bigEndian: highestSequenceNumber)
        bytes.append(bigEndian: jitter)
        bytes.append(bigEndian: lastSenderReport)
        bytes.append(bigEndian: delaySinceLastSenderReport)
    }
}
