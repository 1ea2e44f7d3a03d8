import FuzzTargets
import Testing

/// What the fuzzer is given, what it has found, and what lies near to both, through the fuzzer's own entry points. Those feed
/// every decoder of streams whole, in pieces and byte by byte.
@Suite struct FuzzTargetTests {
    @Test(arguments: FuzzTarget.all)
    func hasSeeds(_ target: FuzzTarget) {
        #expect(Corpus.seeds.filter { $0.target.name == target.name }.count >= 3)
    }

    @Test(arguments: Corpus.seeds + Corpus.failCases)
    func holds(for input: Corpus.Input) {
        #expect(throws: Never.self) { try input.target.run(input.bytes) }
    }

    /// Every beginning of a seed.
    @Test(arguments: Corpus.seeds)
    func holdsForTruncations(of input: Corpus.Input) {
        for count in 0..<min(input.bytes.count, 600) {
            #expect(throws: Never.self) { try input.target.run(Array(input.bytes[..<count])) }
        }
    }

    /// Every single byte of a seed changed: one bit of it, and to what often has a meaning of its own.
    @Test(arguments: Corpus.seeds)
    func holdsForCorruptions(of input: Corpus.Input) {
        for index in input.bytes.indices.prefix(300) {
            var changed = input.bytes
            for byte in [0, 0xFF, 0x0D, 0x22, input.bytes[index] ^ 1 << UInt8(index & 7), input.bytes[index] &+ 1] {
                changed[index] = byte
                #expect(throws: Never.self) { try input.target.run(changed) }
            }
        }
    }

    @Test(arguments: FuzzTarget.all)
    func holdsForAnyBytes(_ target: FuzzTarget) {
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max) }
            #expect(throws: Never.self, "\(bytes)") { try target.run(bytes) }
        }
    }
}
