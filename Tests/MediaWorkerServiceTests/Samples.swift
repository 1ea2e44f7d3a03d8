import Base

/// Real inputs, made by ffmpeg: four quadrants, red and lime above, blue and white below.
struct Samples {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func path(_ name: String) -> String { "\(folder.path)/\(name)" }

    /// A script that takes a worker's place.
    func script(_ body: String) throws -> String {
        try Tool.write(Array("#!/bin/sh\n\(body)\n".utf8), to: path("worker"), mode: 0o700)
        return path("worker")
    }

    func jpeg() throws -> [UInt8] {
        try still("still.jpg", "-pix_fmt", "yuvj420p", "-q:v", "2")
    }

    func png() throws -> [UInt8] {
        try still("still.png", "-pix_fmt", "rgb24", "-compression_level", "6")
    }

    /// A red disc in a transparent field.
    func transparentPNG() throws -> [UInt8] {
        let name = path("alpha.png")
        let circle = "geq=r=255:g=0:b=0:a='255*lte(hypot(X-200,Y-200),150)'"
        try ffmpeg(["-f", "lavfi", "-i", "color=red:s=400x400,format=rgba,\(circle)", "-frames:v", "1", name])
        return try Tool.read(file: name)
    }

    /// A JPEG that says in EXIF how it is to be turned.
    func jpeg(orientation: UInt8) throws -> [UInt8] {
        let jpeg = try jpeg()
        var exif: [UInt8] = Array("Exif\0\0MM\0*".utf8)
        exif.append(bigEndian: UInt32(8))  // where the directory is
        exif.append(bigEndian: UInt16(1))  // entries
        exif.append(bigEndian: UInt16(0x0112))
        exif.append(bigEndian: UInt16(3))  // SHORT
        exif.append(bigEndian: UInt32(1))
        exif += [0, orientation, 0, 0]
        exif.append(bigEndian: UInt32(0))  // no further directory
        var segment: [UInt8] = [0xFF, 0xE1]
        segment.append(bigEndian: UInt16(exif.count + 2))
        return jpeg[..<2] + segment + exif + jpeg[2...]
    }

    /// Three seconds of H.264, a key frame every half second, with a creation date; the index is at the end.
    func mp4() throws -> [UInt8] {
        let name = path("video.mp4")
        try ffmpeg(
            ["-filter_complex", Self.quadrants + ",format=yuv420p", "-t", "3", "-c:v", "libx264", "-g", "12"]
                + ["-metadata", "creation_time=2024-05-01T10:00:00Z", name])
        return try Tool.read(file: name)
    }

    /// The same, copied with other options.
    func mp4(remuxed options: String...) throws -> [UInt8] {
        _ = try mp4()
        let name = path("remuxed.mp4")
        try ffmpeg(["-i", path("video.mp4"), "-c", "copy"] + options + [name])
        return try Tool.read(file: name)
    }

    func hevc() throws -> [UInt8] {
        let name = path("hevc.mp4")
        try ffmpeg(
            ["-filter_complex", Self.quadrants + ",format=yuv420p", "-t", "1", "-c:v", "libx265"]
                + ["-x265-params", "log-level=none", name])
        return try Tool.read(file: name)
    }

    func sound() throws -> [UInt8] {
        let name = path("sound.m4a")
        try ffmpeg(["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", name])
        return try Tool.read(file: name)
    }

    /// Whether libwebp's own tool finds the file sound, and what it says of it.
    func webpInfo(_ webp: [UInt8]) throws -> String {
        try Tool.write(webp, to: path("info.webp"))
        return String(decoding: try Tool.run("webpinfo", path("info.webp")), as: UTF8.self)
    }

    func decode(_ webp: [UInt8]) throws -> Pixels {
        try Tool.write(webp, to: path("decode.webp"))
        try Tool.run("dwebp", "-quiet", "-pam", path("decode.webp"), "-o", path("decode.pam"))
        return try Pixels(pam: try Tool.read(file: path("decode.pam")))
    }

    private static let quadrants =
        "color=red:s=320x240[a];color=lime:s=320x240[b];color=blue:s=320x240[c];color=white:s=320x240[d];"
        + "[a][b]hstack[e];[c][d]hstack[f];[e][f]vstack"

    private func still(_ name: String, _ options: String...) throws -> [UInt8] {
        try ffmpeg(["-filter_complex", Self.quadrants, "-frames:v", "1"] + options + [path(name)])
        return try Tool.read(file: path(name))
    }

    private func ffmpeg(_ arguments: [String]) throws {
        try Tool.run("ffmpeg", ["-hide_banner", "-loglevel", "error", "-y"] + arguments)
    }
}
