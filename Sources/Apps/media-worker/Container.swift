/// The formats that are read, told by their first bytes and never by a name, so that no other demuxer's probe ever runs.
enum Container {
    case jpeg, png, mov

    /// As many first bytes as `init` may want.
    static let prefixCount = 16

    init?(prefix: [UInt8]) {
        func has(_ bytes: [UInt8], at offset: Int) -> Bool { prefix.dropFirst(offset).starts(with: bytes) }
        if has([0xFF, 0xD8, 0xFF], at: 0) {
            self = .jpeg
        } else if has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], at: 0) {
            self = .png
        } else if ["ftyp", "moov", "mdat", "wide", "free", "skip"].contains(where: { has([UInt8]($0.utf8), at: 4) }) {
            // ISO 14496-12 files start with `ftyp`; QuickTime's older ones with any of the others.
            self = .mov
        } else {
            return nil
        }
    }

    /// libavformat's short name.
    var demuxerName: String {
        switch self {
        case .jpeg: "jpeg_pipe"
        case .png: "png_pipe"
        case .mov: "mov"
        }
    }

    /// libavcodec's name of the one decoder that is allowed.
    var decoderName: String {
        switch self {
        case .jpeg: "mjpeg"
        case .png: "png"
        case .mov: "h264"
        }
    }

    var isStill: Bool { self != .mov }
}
