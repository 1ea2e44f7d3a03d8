/// The least, the middle and the most of a few figures.
package struct Spread {
    package let minimum: Double
    package let median: Double
    package let maximum: Double

    package init(_ values: [Double]) {
        let sorted = values.sorted()
        minimum = sorted.first ?? .nan
        maximum = sorted.last ?? .nan
        let middle = sorted.count / 2
        median =
            sorted.isEmpty ? .nan : sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    package func text(decimals: Int) -> String {
        [minimum, median, maximum].map { Self.text($0, decimals) }.joined(separator: " / ")
    }

    private static func text(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite else { return "-" }
        if decimals == 0 { return "\(Int64(value.rounded()))" }
        let scale = decimals == 1 ? 10.0 : 100.0
        let scaled = Int64((value.magnitude * scale).rounded())
        let fraction = String(scaled % Int64(scale))
        return (value < 0 ? "-" : "") + "\(scaled / Int64(scale))."
            + String(repeating: "0", count: decimals - fraction.count) + fraction
    }
}
