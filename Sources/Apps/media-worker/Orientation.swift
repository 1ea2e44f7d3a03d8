/// How a stored picture is to be turned before it is shown: first transposed or not, then mirrored. The eight cases of
/// EXIF's orientation tag, and the right angles of an ISO 14496-12 track matrix.
struct Orientation: Equatable {
    var isTransposed = false
    var mirrorsX = false
    var mirrorsY = false

    /// Nine values as libavutil's display.h lays them out: `a b u c d v x y w`, where x′ = a·x + c·y and y′ = b·x + d·y.
    /// Angles in between are taken for the nearest right one.
    init(displayMatrix matrix: [Int32]?) {
        guard let matrix, matrix.count == 9 else { return }
        let (a, b, c, d) = (Int64(matrix[0]), Int64(matrix[1]), Int64(matrix[3]), Int64(matrix[4]))
        isTransposed = b.magnitude + c.magnitude > a.magnitude + d.magnitude
        mirrorsX = (isTransposed ? c : a) < 0
        mirrorsY = (isTransposed ? b : d) < 0
    }

    static func matrix(at data: UnsafePointer<UInt8>?, count: Int) -> [Int32]? {
        guard let data, count >= 36 else { return nil }
        let bytes = UnsafeRawBufferPointer(start: data, count: 36)
        return (0..<9).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
    }

    func apply(to bitmap: Bitmap) -> Bitmap {
        guard self != Orientation(displayMatrix: nil) else { return bitmap }
        var turned = Bitmap(
            width: isTransposed ? bitmap.height : bitmap.width, height: isTransposed ? bitmap.width : bitmap.height,
            hasAlpha: bitmap.hasAlpha)
        for y in 0..<turned.height {
            let sourceY = mirrorsY ? turned.height - 1 - y : y
            for x in 0..<turned.width {
                let sourceX = mirrorsX ? turned.width - 1 - x : x
                turned.pixels[y * turned.width + x] =
                    isTransposed
                    ? bitmap.pixels[sourceX * bitmap.width + sourceY]
                    : bitmap.pixels[sourceY * bitmap.width + sourceX]
            }
        }
        return turned
    }
}
