import Base

/// Limits how much is answered to a source prefix (/24, /56) that has not authenticated, in memory that never grows.
///
/// Two rows of cells, each prefix hashed onto one cell of either (a count-min sketch of the generic cell rate
/// algorithm). A prefix is refused only when both its cells are exhausted, so that a neighbour in one cell costs nothing.
/// The hash is seeded per process: collisions cannot be aimed.
struct SourceRateLimiter {
    private static let cellsPerRow = 8192
    /// When a cell will have drained, in nanoseconds.
    private var cells: [UInt64]
    private let interval: UInt64
    private let tolerance: UInt64

    /// - Parameters:
    ///   - perSecond: answers a second, sustained.
    ///   - burst: answers at once.
    init(perSecond: Int, burst: Int) {
        precondition(perSecond > 0 && burst > 0)
        cells = Array(repeating: 0, count: 2 * Self.cellsPerRow)
        interval = 1_000_000_000 / UInt64(perSecond)
        tolerance = interval * UInt64(burst - 1)
    }

    /// Counts an answer to the source, unless it is over its rate.
    mutating func allows(_ source: IPAddress, now: MonotonicInstant) -> Bool {
        let source = source.unmapped
        var hasher = Hasher()
        hasher.combine(source.family.rawValue)
        hasher.combine(source.family == .v4 ? source.low >> 8 : source.high >> 8)
        let hash = UInt(bitPattern: hasher.finalize())
        let first = Int(hash % UInt(Self.cellsPerRow))
        let second = Self.cellsPerRow + Int(hash >> 32 % UInt(Self.cellsPerRow))
        let now = now.nanoseconds
        guard cells[first] <= now + tolerance || cells[second] <= now + tolerance else { return false }
        for index in [first, second] { cells[index] = min(max(cells[index], now), now + tolerance) + interval }
        return true
    }
}
