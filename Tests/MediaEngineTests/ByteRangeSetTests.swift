import Testing

@testable import MediaEngine

@Suite struct ByteRangeSetTests {
    static let examples: [(String, Int64, ByteRangeSet)] = [
        ("bytes=0-499", 10_000, .ranges([0..<500])),
        ("bytes=500-999", 10_000, .ranges([500..<1000])),
        ("bytes=-500", 10_000, .ranges([9500..<10_000])),
        ("bytes=9500-", 10_000, .ranges([9500..<10_000])),
        ("bytes=0-0,-1", 10_000, .ranges([0..<1, 9999..<10_000])),
        ("BYTES=5-5", 10, .ranges([5..<6])),
        ("bytes=-20", 10, .ranges([0..<10])),
        ("bytes=0-99999999999999999999999", 10, .ranges([0..<10])),
        ("bytes=99999999999999999999999-", 10, .unsatisfiable),
        ("bytes=10-", 10, .unsatisfiable),
        ("bytes=-0", 10, .unsatisfiable),
        ("bytes=0-", 0, .unsatisfiable),
        ("bytes=-5", 0, .whole),
        ("bytes=5-4", 10, .whole),
        ("bytes=", 10, .whole),
        ("bytes=-", 10, .whole),
        ("bytes=a-b", 10, .whole),
        ("bytes=1-2-3", 10, .whole),
        ("items=0-5", 10, .whole),
        ("bytes", 10, .whole),
        ("bytes=0-5 , , 20-29", 10_000, .ranges([0..<30])),
        ("bytes=0-5,1000-1005", 10_000, .ranges([0..<6, 1000..<1006])),
        ("bytes=1000-1005,0-5", 10_000, .ranges([1000..<1006, 0..<6])),
        ("bytes=0-5,99999-", 10_000, .ranges([0..<6])),
    ]

    @Test(arguments: examples)
    func example(field: String, length: Int64, expected: ByteRangeSet) {
        #expect(ByteRangeSet(field: field, length: length) == expected)
    }

    @Test func tooManyRangesAreTheWhole() {
        let field = "bytes=" + (0..<17).map { "\($0 * 1000)-\($0 * 1000)" }.joined(separator: ",")
        #expect(ByteRangeSet(field: field, length: 1_000_000) == .whole)
        #expect(ByteRangeSet(field: nil, length: 5) == .whole)
    }

    @Test func anyTextGivesRangesWithinTheRepresentation() throws {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("0123456789-, \t")
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...20, using: &generator)
            let tail = String((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
            let length = Int64.random(in: 0...2000, using: &generator)
            guard case .ranges(let ranges) = ByteRangeSet(field: "bytes=" + tail, length: length) else { continue }
            #expect(!ranges.isEmpty)
            for range in ranges { #expect(range.lowerBound >= 0 && range.upperBound <= length && !range.isEmpty) }
        }
    }
}
