import Base
import Testing

@testable import edgectl

struct ProgressBarTests {
    @Test func aLineHasShareBytesRateAndTimeLeft() {
        var bar = ProgressBar(label: "photo.jpg", isShown: true)
        bar.update(0, of: 4 << 20, at: MonotonicInstant(nanoseconds: 1_000_000_000))
        bar.update(1 << 20, of: 4 << 20, at: MonotonicInstant(nanoseconds: 2_000_000_000))
        let line = bar.line(1 << 20, of: 4 << 20, columns: 100)
        #expect(line.hasPrefix("photo.jpg [##########"))
        #expect(line.contains(" 25%  1.0 MiB of 4.0 MiB  1.0 MiB/s  ETA 3.0 s"))
        #expect(line.count <= 100)
    }

    @Test func aNarrowTerminalGetsNoBar() {
        let bar = ProgressBar(label: "photo.jpg", isShown: true)
        #expect(!bar.line(1, of: 2, columns: 30).contains("["))
    }

    @Test(
        arguments: [(512, "512 B"), (1536, "1.5 KiB"), (10 << 20, "10.0 MiB"), (3 << 40, "3.0 TiB")]
            as [(Int64, String)])
    func bytes(count: Int64, text: String) {
        #expect(formatBytes(count) == text)
    }

    @Test(
        arguments: [(850, "850 ms"), (3200, "3.2 s"), (125_000, "2:05"), (3_723_000, "1:02:03")] as [(Int64, String)])
    func durations(milliseconds: Int64, text: String) {
        #expect(formatDuration(.milliseconds(milliseconds)) == text)
    }
}
