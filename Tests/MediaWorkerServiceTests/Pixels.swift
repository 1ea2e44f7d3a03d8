import Testing

/// A decoded picture, read from netpbm's PAM, four samples a pixel.
struct Pixels {
    enum Colour: Equatable {
        case red, lime, blue, white, transparent, other
    }

    let width: Int
    let height: Int
    private let samples: ArraySlice<UInt8>

    init(pam: [UInt8]) throws {
        let end = Array("ENDHDR\n".utf8)
        let start = try #require((0..<200).first { pam.dropFirst($0).starts(with: end) })
        var values: [String: Int] = [:]
        for line in String(decoding: pam[..<start], as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2 { values[String(words[0])] = Int(words[1]) }
        }
        width = try #require(values["WIDTH"])
        height = try #require(values["HEIGHT"])
        try #require(values["DEPTH"] == 4)
        samples = pam[(start + end.count)...]
        try #require(samples.count == width * height * 4)
    }

    /// The colour at a place told in parts of the sides.
    func colour(_ x: Double, _ y: Double) -> Colour {
        let index = samples.startIndex + 4 * (Int(y * Double(height)) * width + Int(x * Double(width)))
        let near = { (value: UInt8, wanted: Int) in abs(Int(value) - wanted) < 16 }
        if samples[index + 3] == 0 { return .transparent }
        guard samples[index + 3] == 255 else { return .other }
        let (red, green, blue) = (samples[index], samples[index + 1], samples[index + 2])
        if near(red, 255), near(green, 0), near(blue, 0) { return .red }
        if near(red, 0), near(green, 255), near(blue, 0) { return .lime }
        if near(red, 0), near(green, 0), near(blue, 255) { return .blue }
        if near(red, 255), near(green, 255), near(blue, 255) { return .white }
        return .other
    }

    /// The middles of the quadrants: above left, above right, below left, below right.
    var quadrants: [Colour] {
        [colour(0.25, 0.25), colour(0.75, 0.25), colour(0.25, 0.75), colour(0.75, 0.75)]
    }
}
