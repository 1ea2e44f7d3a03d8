import Testing
import Wire

@testable import MediaEngine

@Suite struct ChunkLayoutTests {
    static let sizes: [Int64] = [0, 1, 65_535, 65_536, 65_537, 131_072, 8 << 20, (5 << 30) + 17]

    @Test(arguments: sizes, MediaMode.allCases)
    func chunksCoverTheObjectWithoutGaps(size: Int64, mode: MediaMode) {
        let layout = ChunkLayout(size: size, mode: mode)
        #expect(layout.chunkCount == Int((size + 65_535) / 65_536))
        #expect(layout.storedBytes == size + Int64(layout.chunkCount) * (mode == .managed ? 16 : 0))
        guard layout.chunkCount > 0 else { return }
        let last = layout.chunkCount - 1
        #expect(layout.storedOffset(of: last) + Int64(layout.storedCount(of: last)) == layout.storedBytes)
        #expect(layout.isLast(last) && !layout.isLast(last + 1))
        #expect(Int64(layout.storedCount(of: 0..<layout.chunkCount)) == layout.storedBytes)
    }

    @Test func everyRangeIsCutFromItsChunks() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let size = Int64.random(in: 1...400_000, using: &generator)
            let layout = ChunkLayout(size: size, mode: .managed)
            let start = Int64.random(in: 0..<size, using: &generator)
            let range = start..<Int64.random(in: start + 1...size, using: &generator)
            var position = range.lowerBound
            for chunk in layout.chunks(holding: range) {
                let slice = layout.slice(of: chunk, within: range)
                #expect(Int64(chunk) * 65_536 + Int64(slice.lowerBound) == position)
                #expect(!slice.isEmpty && slice.upperBound <= layout.count(of: chunk))
                position += Int64(slice.count)
            }
            #expect(position == range.upperBound)
        }
        #expect(ChunkLayout(size: 10, mode: .sealed).chunks(holding: 4..<4).isEmpty)
    }
}
