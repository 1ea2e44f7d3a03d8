/// The bytes in pieces of 1 to 40 bytes. The sizes follow from the bytes and the seed, so that a failure can be seen again.
public func pieces(of input: [UInt8], drawnFrom seed: UInt64) -> [[UInt8]] {
    var state = input.reduce(14_695_981_039_346_656_037 ^ seed) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    var pieces: [[UInt8]] = []
    var start = 0
    while start < input.count {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let count = state >> 62 == 0 ? Int(state >> 56 & 0x3F) % 40 + 1 : Int(state >> 58 & 7) + 1
        let end = min(start + count, input.count)
        pieces.append(Array(input[start..<end]))
        start = end
    }
    return pieces
}
