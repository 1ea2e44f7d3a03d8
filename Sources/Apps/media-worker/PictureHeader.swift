import WorkerProtocol

/// The sides that a picture's own header declares, read before any decoder sees it.
enum PictureHeader {
    /// - Returns: nil when the header is not there, or for a video.
    static func size(of container: Container, in input: InputChannel) throws(WorkerFailure) -> (
        width: Int, height: Int
    )? {
        switch container {
        case .png: try png(input)
        case .jpeg: try jpeg(input)
        case .mov: nil
        }
    }

    /// IHDR is the first chunk (ISO 15948, 5.6).
    private static func png(_ input: InputChannel) throws(WorkerFailure) -> (width: Int, height: Int)? {
        let bytes = try input.bytes(at: 12, count: 12)
        guard bytes.count == 12, bytes.starts(with: "IHDR".utf8) else { return nil }
        return (number(bytes[4..<8]), number(bytes[8..<12]))
    }

    /// Walks over the marker segments to the start of the frame (ITU-T T.81, annex B).
    private static func jpeg(_ input: InputChannel) throws(WorkerFailure) -> (width: Int, height: Int)? {
        var offset: Int64 = 2
        for _ in 0..<maxSegments {
            let bytes = try input.bytes(at: offset, count: 9)
            guard bytes.count == 9, bytes[0] == 0xFF else { return nil }
            switch bytes[1] {
            case 0xFF:  // a fill byte
                offset += 1
            case 0xC4, 0xC8, 0xCC:  // tables, not frames
                offset += 2 + Int64(number(bytes[2..<4]))
            case 0xC0...0xCF:
                return (number(bytes[7..<9]), number(bytes[5..<7]))
            case 0xD9, 0xDA:  // end, or scan without a frame
                return nil
            default:
                offset += 2 + Int64(number(bytes[2..<4]))
            }
        }
        return nil
    }

    private static let maxSegments = 1000

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.reduce(0) { $0 << 8 | Int($1) }
    }
}
