import CFFmpeg
import WorkerProtocol

/// A compressed frame.
struct Packet: ~Copyable {
    let pointer: UnsafeMutablePointer<AVPacket>

    init() throws(WorkerFailure) {
        guard let pointer = av_packet_alloc() else { throw .limit }
        self.pointer = pointer
    }

    deinit {
        var pointer: UnsafeMutablePointer<AVPacket>? = pointer
        av_packet_free(&pointer)
    }

    var isKeyFrame: Bool { pointer.pointee.flags & AV_PKT_FLAG_KEY != 0 }
}

/// A decoded picture.
struct Frame: ~Copyable {
    let pointer: UnsafeMutablePointer<AVFrame>

    init() throws(WorkerFailure) {
        guard let pointer = av_frame_alloc() else { throw .limit }
        self.pointer = pointer
    }

    /// A picture with memory of its own, not cleared.
    static func allocate(width: Int, height: Int, format: AVPixelFormat) throws(WorkerFailure) -> Frame {
        let frame = try Frame()
        frame.pointer.pointee.width = Int32(width)
        frame.pointer.pointee.height = Int32(height)
        frame.pointer.pointee.format = format.rawValue
        guard av_frame_get_buffer(frame.pointer, 0) >= 0 else { throw .limit }
        return frame
    }

    deinit {
        var pointer: UnsafeMutablePointer<AVFrame>? = pointer
        av_frame_free(&pointer)
    }

    var width: Int { Int(pointer.pointee.width) }
    var height: Int { Int(pointer.pointee.height) }
    var format: AVPixelFormat { AVPixelFormat(rawValue: pointer.pointee.format) }

    /// Whether a decoder said that parts of the picture are missing.
    var isDamaged: Bool {
        pointer.pointee.decode_error_flags != 0 || pointer.pointee.flags & AV_FRAME_FLAG_CORRUPT != 0
    }

    /// The display matrix that came with the picture (EXIF orientation), nine values.
    var displayMatrix: [Int32]? {
        guard let data = av_frame_get_side_data(pointer, AV_FRAME_DATA_DISPLAYMATRIX) else { return nil }
        return Orientation.matrix(at: data.pointee.data, count: data.pointee.size)
    }
}
