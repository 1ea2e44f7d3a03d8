import Glibc

/// A synthesised voice: the harmonics of a gliding pitch under two formants, in syllables with pauses between them.
///
/// An encoder treats it as it treats speech: packets vary in size, and pauses become small.
struct SpeechSignal {
    static let samplesPerSecond = 48_000

    /// Pitch and formants stand still for 5 milliseconds.
    private static let samplesPerStep = 240
    private static let harmonics = 12

    private let basePitch: Double
    private var step = 0
    private var phase = 0.0

    /// - Parameter pitch: of the voice, in hertz: 120 for a low one, 210 for a high one.
    init(pitch: Double) {
        basePitch = pitch
    }

    /// The next samples, 16 bits signed, one channel; a whole number of steps.
    mutating func next(_ count: Int) -> [Int16] {
        precondition(count % Self.samplesPerStep == 0)
        var samples: [Int16] = []
        samples.reserveCapacity(count)
        while samples.count < count { appendStep(to: &samples) }
        return samples
    }

    private mutating func appendStep(to samples: inout [Int16]) {
        let time = Double(step * Self.samplesPerStep) / Double(Self.samplesPerSecond)
        step += 1
        let syllable = (time / 0.28).truncatingRemainder(dividingBy: 1)
        let isPause = Int(time / 0.28) % 5 == 4
        let envelope = isPause ? 0 : max(0, sin(.pi * min(1, syllable * 1.4)))
        let pitch = basePitch * (1 + 0.08 * sin(2 * .pi * 0.7 * time))
        let gains = Self.gains(pitch, time).map { $0 * envelope * 7000 }
        let advance = 2 * .pi * pitch / Double(Self.samplesPerSecond)
        for _ in 0..<Self.samplesPerStep {
            phase += advance
            // sin(n x) from the two before it: 2 cos(x) sin((n - 1) x) - sin((n - 2) x).
            let double = 2 * cos(phase)
            var (before, current) = (0.0, sin(phase))
            var value = 0.0
            for gain in gains {
                value += gain * current
                (before, current) = (current, double * current - before)
            }
            samples.append(Int16(max(-32_000, min(32_000, value))))
        }
        phase = phase.truncatingRemainder(dividingBy: 2 * .pi)
    }

    /// How strong each harmonic is: near one of the two formants, which wander, or hardly.
    private static func gains(_ pitch: Double, _ time: Double) -> [Double] {
        let first = 500 + 220 * sin(2 * .pi * 1.3 * time)
        let second = 1500 + 400 * sin(2 * .pi * 0.9 * time)
        return (1...harmonics).map { number in
            let frequency = pitch * Double(number)
            let near = exp(-pow((frequency - first) / 180, 2)) + exp(-pow((frequency - second) / 180, 2))
            return (0.02 + near) / Double(number).squareRoot()
        }
    }
}
