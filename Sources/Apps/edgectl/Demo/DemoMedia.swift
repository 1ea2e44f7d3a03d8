import Base
import Runtime

/// Real media, made by the ffmpeg command.
struct DemoMedia: Sendable {
    let folder: String
    let pool: BlockingPool

    var photo: String { folder + "/photo.jpg" }
    var video: String { folder + "/video.mp4" }

    /// A JPEG of 2400 by 1600 pixels: a fractal under the grain of a sensor.
    func makePhoto() async throws -> Int64 {
        try await ffmpeg(
            [
                "-f", "lavfi", "-i", "mandelbrot=size=2400x1600:start_scale=0.004", "-frames:v", "1", "-vf",
                "noise=alls=8", "-pix_fmt", "yuvj420p", "-q:v", "3",
            ], to: photo)
    }

    /// Six seconds of H.264 with AAC: moving pictures under grain, so that it has some megabytes.
    func makeVideo() async throws -> Int64 {
        try await ffmpeg(
            [
                "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-f", "lavfi", "-i",
                "sine=frequency=330:beep_factor=3", "-t", "6", "-vf", "noise=alls=7:allf=t", "-c:v", "libx264",
                "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart",
            ], to: video)
    }

    private func ffmpeg(_ arguments: [String], to path: String) async throws -> Int64 {
        let log = folder + "/ffmpeg.log"
        let ending = try await pool.run {
            try ChildProcess.spawn(
                name: "ffmpeg", executable: "/usr/bin/env",
                arguments: ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"] + arguments + [path], logPath: log
            ).waitBlocking()
        }
        guard ending == .exited(0) else {
            let said = (try? FileSystem.read(log)).map { String(decoding: $0.suffix(500), as: UTF8.self) } ?? ""
            throw CommandFailure("ffmpeg ended with \(ending): \(said)")
        }
        return try await pool.run { try File(path, .read).size() }
    }
}
