/// A small picture in memory: rows without padding, each pixel four bytes R, G, B, A, alpha not premultiplied.
struct Bitmap {
    var width: Int
    var height: Int
    var hasAlpha: Bool
    /// The four bytes in memory order.
    var pixels: [UInt32]

    init(width: Int, height: Int, hasAlpha: Bool) {
        self.width = width
        self.height = height
        self.hasAlpha = hasAlpha
        pixels = [UInt32](repeating: 0, count: width * height)
    }
}
