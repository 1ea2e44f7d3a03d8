import Glibc

/// A synthesised voice: the harmonics of a gliding pitch under two formants, in syllables with pauses between them.
///
/// An encoder treats it as it treats speech: packets vary in size, and pauses become small.
struct SpeechSignal {
    static let samplesPerSecond = 48_000

    private let basePitch: Double
    private var position = 0
    private var phase = 0.0

    /// - Parameter pitch: of the voice, in hertz: 120 for a low one, 210 for a high one.
    init(pitch: Double) {
        basePitch = pitch
    }

    /// The next samples, 16 bits signed, one channel.
    mutating func next(_ count: Int) -> [Int16] {
        (0..<count).map { _ in nextSample() }
    }

    private mutating func nextSample() -> Int16 {
        let time = Double(position) / Double(Self.samplesPerSecond)
        position += 1
        let syllable = time.truncatingRemainder(dividingBy: 0.28) / 0.28
        let isPause = Int(time / 0.28) % 5 == 4
        let envelope = isPause ? 0 : max(0, sin(.pi * min(1, syllable * 1.4)))
        let pitch = basePitch * (1 + 0.08 * sin(2 * .pi * 0.7 * time))
        phase += 2 * .pi * pitch / Double(Self.samplesPerSecond)
        if phase > 2 * .pi { phase -= 2 * .pi }
        let formants = [500 + 220 * sin(2 * .pi * 1.3 * time), 1500 + 400 * sin(2 * .pi * 0.9 * time)]
        var value = 0.0
        for harmonic in 1...16 {
            let frequency = pitch * Double(harmonic)
            let gain = formants.reduce(0.02) { $0 + exp(-pow((frequency - $1) / 180, 2)) }
            value += gain / Double(harmonic).squareRoot() * sin(phase * Double(harmonic))
        }
        return Int16(max(-1, min(1, value * envelope * 0.25)) * 28_000)
    }
}
