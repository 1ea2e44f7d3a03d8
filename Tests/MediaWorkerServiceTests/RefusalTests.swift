import Base
import CAllocationCounter
import MediaWorkerService
import Testing

extension MediaWorkerPoolTests {
    /// What no thumbnail is made of.
    @Suite struct RefusalTests {
        let samples: Samples

        init() throws {
            samples = try Samples()
        }

        private func expect(
            _ error: MediaWorkerError, _ input: [UInt8],
            _ configure: (inout MediaWorkerPool.Configuration) -> Void = { _ in },
            at location: SourceLocation = #_sourceLocation
        ) async throws {
            await #expect(throws: error, sourceLocation: location) {
                try await withPool(configure) { pool, _ in try await pool.thumbnail(width: 100, of: WorkerInput(input))
                }
            }
        }

        @Test func otherFormats() async throws {
            try await expect(.unsupported, [])
            try await expect(.unsupported, Array("hello, this is text\n".utf8))
            try await expect(.unsupported, Array("#EXTM3U\nfile:///etc/passwd\n".utf8))
            try await expect(.unsupported, try samples.hevc())
            try await expect(.unsupported, try samples.sound())
        }

        @Test func damage() async throws {
            try await expect(.corrupt, Array(try samples.png().prefix(60)))
            try await expect(.corrupt, Array(try samples.jpeg().prefix(100)))
            let video = try samples.mp4()
            try await expect(.corrupt, Array(video.dropLast(video.count / 3)))
            try await expect(.corrupt, [0xFF, 0xD8, 0xFF] + [UInt8](repeating: 0x41, count: 5000))
        }

        /// Headers that declare what no memory holds.
        @Test func bombs() async throws {
            var png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13]
            png += Array("IHDR".utf8)
            png.append(bigEndian: UInt32(20_000))
            png.append(bigEndian: UInt32(20_000))
            png += [8, 6, 0, 0, 0, 0, 0, 0, 0]
            try await expect(.tooLarge, png)

            var jpeg = try samples.jpeg()
            let frame = try #require(jpeg.indices.first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
            jpeg.replaceSubrange((frame + 5)..<(frame + 9), with: [0xFF, 0xDC, 0xFF, 0xDC])
            try await expect(.tooLarge, jpeg)
        }

        @Test func limits() async throws {
            try await expect(.tooLarge, try samples.jpeg()) { $0.maxPixels = 640 * 480 - 1 }
            try await expect(.tooLarge, try samples.mp4()) { $0.maxPixels = 640 * 480 - 1 }
            let long = try samples.jpeg() + [UInt8](repeating: 0, count: 200_000)
            try await expect(.tooLarge, long) { $0.maxInputBytes = 200_000 }
            try await expect(.limitExceeded, try samples.mp4()) { $0.maxInputBytes = 1000 }
            try await expect(.limitExceeded, try samples.jpeg()) { $0.maxOutputBytes = 50 }
        }

        @Test(.disabled(if: skerry_is_sanitized(), "a sanitizer's own memory does not fit"))
        func memoryLimit() async throws {
            try await expect(.limitExceeded, try samples.jpeg()) { $0.memoryLimitBytes = 300_000 }
        }

        /// Whatever the bytes, the answer is a picture or a refusal: the sandbox is never touched, nothing crashes.
        @Test func mutationsAreSurvived() async throws {
            let inputs = [try samples.jpeg(), try samples.transparentPNG(), try samples.mp4()]
            try await withPool { pool, _ in
                for seed in 0..<60 {
                    var input = inputs[seed % inputs.count]
                    for _ in 0..<(1 + seed / 6) { input[Int.random(in: 8..<input.count)] = UInt8.random(in: 0...255) }
                    do {
                        _ = try await pool.thumbnail(width: 100, of: WorkerInput(input))
                    } catch let error as MediaWorkerError {
                        let allowed: [MediaWorkerError] = [.unsupported, .tooLarge, .corrupt, .limitExceeded]
                        #expect(allowed.contains(error))
                    }
                }
            }
        }
    }
}
