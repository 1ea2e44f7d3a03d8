import CFFmpeg
import WorkerProtocol

/// One decoder, on this thread alone. A picture larger than allowed is refused when the decoder asks for its memory: after the
/// header, before the first pixel.
final class FrameDecoder {
    private let context: UnsafeMutablePointer<AVCodecContext>
    private let maxPixels: UInt64
    private var isTooLarge = false
    private var isOutOfMemory = false

    init(
        container: Container, parameters: UnsafeMutablePointer<AVCodecParameters>, maxPixels: UInt64
    ) throws(WorkerFailure) {
        // A video's track declares its sides; a picture's are not known here.
        let declared = UInt64(parameters.pointee.width.magnitude) * UInt64(parameters.pointee.height.magnitude)
        guard declared <= maxPixels else { throw .tooLarge }
        guard let codec = avcodec_find_decoder_by_name(container.decoderName) else { throw .unsupported }
        guard let context = avcodec_alloc_context3(codec) else { throw .limit }
        self.context = context
        self.maxPixels = maxPixels
        guard avcodec_parameters_to_context(context, parameters) >= 0 else { throw .corrupt }
        context.pointee.thread_count = 1
        // Of a video, key frames alone are looked at.
        if !container.isStill { context.pointee.skip_frame = AVDISCARD_NONKEY }
        context.pointee.opaque = Unmanaged.passUnretained(self).toOpaque()
        context.pointee.get_buffer2 = { context, frame, flags in
            guard let context, let frame, let opaque = context.pointee.opaque else { return skerry_averror(EINVAL) }
            let decoder = Unmanaged<FrameDecoder>.fromOpaque(opaque).takeUnretainedValue()
            guard decoder.allows(width: frame.pointee.width, height: frame.pointee.height) else {
                return skerry_averror(ENOMEM)
            }
            let result = avcodec_default_get_buffer2(context, frame, flags)
            if result >= 0 { FrameDecoder.clear(frame) } else { decoder.isOutOfMemory = true }
            return result
        }
        let result = avcodec_open2(context, codec, nil)
        guard result >= 0 else { throw result == skerry_averror(ENOMEM) ? .limit : .corrupt }
    }

    deinit {
        var context: UnsafeMutablePointer<AVCodecContext>? = context
        avcodec_free_context(&context)
    }

    /// Decodes one packet, and nothing that came before or comes after.
    ///
    /// - Returns: nil when nothing could be made of it.
    func decode(_ packet: borrowing Packet) throws(WorkerFailure) -> Frame? {
        avcodec_flush_buffers(context)
        try check(avcodec_send_packet(context, packet.pointer))
        // Draining makes the decoder give what it would hold back for reordering.
        try check(avcodec_send_packet(context, nil))
        let frame = try Frame()
        let result = avcodec_receive_frame(context, frame.pointer)
        try check(result)
        guard result >= 0, frame.width > 0, frame.height > 0 else { return nil }
        return frame
    }

    /// Makes what a truncated picture leaves out grey, and never what was in memory before.
    private static func clear(_ frame: UnsafeMutablePointer<AVFrame>) {
        withUnsafePointer(to: frame.pointee.buf) { buffers in
            buffers.withMemoryRebound(to: UnsafeMutablePointer<AVBufferRef>?.self, capacity: 8) { buffers in
                for index in 0..<8 {
                    guard let buffer = buffers[index] else { return }
                    buffer.pointee.data.update(repeating: 128, count: buffer.pointee.size)
                }
            }
        }
    }

    private func check(_ result: Int32) throws(WorkerFailure) {
        if isTooLarge { throw .tooLarge }
        // Decoders do not always pass the reason on.
        if result == skerry_averror(ENOMEM) || isOutOfMemory { throw .limit }
    }

    private func allows(width: Int32, height: Int32) -> Bool {
        let pixels = UInt64(width.magnitude) * UInt64(height.magnitude)
        if pixels > maxPixels { isTooLarge = true }
        return !isTooLarge
    }
}
