import Base
import MediaWorkerService
import Testing

extension MediaWorkerPoolTests {
    /// What comes out, judged by libwebp's own tools.
    @Suite struct ThumbnailTests {
        let samples: Samples

        init() throws {
            samples = try Samples()
        }

        private func thumbnail(_ input: [UInt8], width: Int = 160) async throws -> Thumbnail {
            try await withPool { pool, _ in try await pool.thumbnail(width: width, of: WorkerInput(input)) }
        }

        private func expect(
            _ input: [UInt8], _ quadrants: [Pixels.Colour], width: Int = 160, height: Int = 120,
            at location: SourceLocation = #_sourceLocation
        ) async throws {
            let thumbnail = try await thumbnail(input)
            #expect(thumbnail.width == width && thumbnail.height == height, sourceLocation: location)
            #expect(try samples.webpInfo(thumbnail.webp).contains("No error detected"), sourceLocation: location)
            let pixels = try samples.decode(thumbnail.webp)
            #expect(pixels.width == width && pixels.height == height, sourceLocation: location)
            #expect(pixels.quadrants == quadrants, sourceLocation: location)
        }

        @Test func pictures() async throws {
            try await expect(samples.jpeg(), [.red, .lime, .blue, .white])
            try await expect(samples.png(), [.red, .lime, .blue, .white])
        }

        @Test func videos() async throws {
            let end = try samples.mp4()
            let start = try samples.mp4(remuxed: "-movflags", "+faststart")
            let fragments = try samples.mp4(remuxed: "-movflags", "frag_keyframe+empty_moov")
            try await expect(end, [.red, .lime, .blue, .white])
            try await expect(start, [.red, .lime, .blue, .white])
            try await expect(fragments, [.red, .lime, .blue, .white])
            // With the index in front, the picture is all that is read of a file cut off behind it.
            try await expect(Array(start.dropLast(start.count / 4)), [.red, .lime, .blue, .white])
        }

        @Test(
            arguments: [
                (1, [.red, .lime, .blue, .white]), (2, [.lime, .red, .white, .blue]),
                (3, [.white, .blue, .lime, .red]),
                (4, [.blue, .white, .red, .lime]), (5, [.red, .blue, .lime, .white]),
                (6, [.blue, .red, .white, .lime]),
                (7, [.white, .lime, .blue, .red]), (8, [.lime, .white, .red, .blue]),
            ] as [(UInt8, [Pixels.Colour])])
        func exifOrientation(_ orientation: UInt8, _ quadrants: [Pixels.Colour]) async throws {
            let height = orientation < 5 ? 120 : 213
            try await expect(samples.jpeg(orientation: orientation), quadrants, height: height)
        }

        @Test func displayMatrix() async throws {
            // Ours go the way that ffmpeg's own player turns them; phones held upright record the second.
            let left = try samples.mp4(remuxed: "-metadata:s:v", "rotate=90")
            try await expect(left, [.lime, .white, .red, .blue], height: 213)
            let right = try samples.mp4(remuxed: "-metadata:s:v", "rotate=270")
            try await expect(right, [.blue, .red, .white, .lime], height: 213)
            let down = try samples.mp4(remuxed: "-metadata:s:v", "rotate=180")
            try await expect(down, [.white, .blue, .lime, .red])
        }

        @Test func transparencyIsKept() async throws {
            let thumbnail = try await thumbnail(samples.transparentPNG(), width: 100)
            let pixels = try samples.decode(thumbnail.webp)
            #expect(pixels.colour(0.5, 0.5) == .red)
            #expect(pixels.colour(0.02, 0.02) == .transparent)
            #expect(try samples.webpInfo(thumbnail.webp).contains("Alpha: 1"))
        }

        @Test func nothingIsEnlarged() async throws {
            let thumbnail = try await thumbnail(samples.jpeg(), width: 5000)
            #expect(thumbnail.width == 640 && thumbnail.height == 480)
        }

        @Test func noMetadataIsCarriedOver() async throws {
            let info = try samples.webpInfo(try await thumbnail(samples.jpeg(orientation: 6)).webp)
            #expect(!info.contains("EXIF") && !info.contains("ICCP"))
        }

        @Test func whatIsMissingOfAPictureIsGrey() async throws {
            let jpeg = try samples.jpeg()
            let thumbnail = try await thumbnail(Array(jpeg.dropLast(jpeg.count / 3)))
            let pixels = try samples.decode(thumbnail.webp)
            #expect(pixels.colour(0.25, 0.1) == .red)
            #expect(pixels.colour(0.75, 0.98) == .other)
        }
    }
}
