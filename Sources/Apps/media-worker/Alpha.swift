import CFFmpeg

/// Straight and premultiplied alpha of RGBA pictures, in place.
enum Alpha {
    /// - Returns: whether anything is transparent at all; if not, nothing changed.
    static func premultiply(_ frame: borrowing Frame) -> Bool {
        var hasTransparency = false
        forEachRow(of: frame) { row in
            for pixel in stride(from: 0, to: row.count, by: 4) where row[pixel + 3] < 255 {
                hasTransparency = true
                let alpha = Int(row[pixel + 3])
                for channel in pixel..<(pixel + 3) {
                    row[channel] = UInt8(truncatingIfNeeded: (Int(row[channel]) * alpha + 127) / 255)
                }
            }
        }
        return hasTransparency
    }

    static func unpremultiply(_ frame: borrowing Frame) {
        forEachRow(of: frame) { row in
            for pixel in stride(from: 0, to: row.count, by: 4) where row[pixel + 3] < 255 {
                let alpha = Int(row[pixel + 3])
                for channel in pixel..<(pixel + 3) {
                    row[channel] = alpha == 0 ? 0 : UInt8(min(255, (Int(row[channel]) * 255 + alpha / 2) / alpha))
                }
            }
        }
    }

    private static func forEachRow(of frame: borrowing Frame, _ body: (UnsafeMutableBufferPointer<UInt8>) -> Void) {
        guard let data = frame.pointer.pointee.data.0 else { return }
        for y in 0..<frame.height {
            let row = data + y * Int(frame.pointer.pointee.linesize.0)
            body(UnsafeMutableBufferPointer(start: row, count: 4 * frame.width))
        }
    }
}
