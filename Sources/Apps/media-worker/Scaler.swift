import CFFmpeg
import WorkerProtocol

/// Brings a decoded picture to its size, and to RGBA.
enum Scaler {
    /// The sides of the result before the orientation is applied.
    struct Size: Equatable {
        var width: Int
        var height: Int

        /// - Parameters:
        ///   - frame: the stored picture's sides.
        ///   - aspect: the width of a sample by its height.
        ///   - width: the width wanted of the turned picture; it is never enlarged.
        init(fitting frame: (width: Int, height: Int), aspect: Double, isTransposed: Bool, width wanted: Int) {
            let shown = (width: Double(frame.width) * max(aspect, 1), height: Double(frame.height) / min(aspect, 1))
            let turned = isTransposed ? (width: shown.height, height: shown.width) : shown
            // Not wider than wanted, and within what WebP can hold on either side.
            let scale = min(1, Double(wanted) / turned.width, Self.maxSide / turned.width, Self.maxSide / turned.height)
            width = max(1, Int((shown.width * scale).rounded()))
            height = max(1, Int((shown.height * scale).rounded()))
        }

        init(width: Int, height: Int) {
            self.width = width
            self.height = height
        }

        private static let maxSide = 16_383.0
    }

    static func scale(_ frame: consuming Frame, to size: Size, isStill: Bool) throws(WorkerFailure) -> Bitmap {
        guard let description = av_pix_fmt_desc_get(frame.format), sws_isSupportedInput(frame.format) > 0 else {
            throw .unsupported
        }
        guard description.pointee.flags & UInt64(AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL) != 0 else {
            return bitmap(try convert(frame, to: size, isStill: isStill), hasAlpha: false)
        }
        if frame.format != AV_PIX_FMT_RGBA || av_frame_is_writable(frame.pointer) == 0 {
            frame = try convert(frame, to: Size(width: frame.width, height: frame.height), isStill: isStill)
        }
        // Colours of transparent pixels must not bleed into their neighbours: while scaled, they are weighed by alpha.
        guard Alpha.premultiply(frame) else {
            return bitmap(try convert(frame, to: size, isStill: isStill), hasAlpha: false)
        }
        let scaled = try convert(frame, to: size, isStill: isStill)
        Alpha.unpremultiply(scaled)
        return bitmap(scaled, hasAlpha: true)
    }

    private static func convert(_ frame: borrowing Frame, to size: Size, isStill: Bool) throws(WorkerFailure) -> Frame {
        let result = try Frame.allocate(width: size.width, height: size.height, format: AV_PIX_FMT_RGBA)
        let context = try Context(from: frame, to: size, isStill: isStill)
        guard context.run(frame, into: result) else { throw .limit }
        return result
    }

    private static func bitmap(_ frame: borrowing Frame, hasAlpha: Bool) -> Bitmap {
        var bitmap = Bitmap(width: frame.width, height: frame.height, hasAlpha: hasAlpha)
        guard let data = frame.pointer.pointee.data.0 else { return bitmap }
        let rowBytes = 4 * frame.width
        bitmap.pixels.withUnsafeMutableBytes { pixels in
            for y in 0..<frame.height {
                let row = UnsafeRawBufferPointer(
                    start: data + y * Int(frame.pointer.pointee.linesize.0), count: rowBytes)
                UnsafeMutableRawBufferPointer(rebasing: pixels[(y * rowBytes)...]).copyMemory(from: row)
            }
        }
        return bitmap
    }

    /// Owner of a libswscale context.
    private struct Context: ~Copyable {
        private let pointer: OpaquePointer

        init(from frame: borrowing Frame, to size: Size, isStill: Bool) throws(WorkerFailure) {
            let flags = SWS_LANCZOS | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP
            guard
                let pointer = sws_getContext(
                    Int32(frame.width), Int32(frame.height), frame.format, Int32(size.width), Int32(size.height),
                    AV_PIX_FMT_RGBA, flags, nil, nil, nil)
            else { throw .limit }
            self.pointer = pointer
            let colours = sws_getCoefficients(Self.matrix(of: frame, isStill: isStill))
            let one: Int32 = 1 << 16
            // Fails for formats that have no matrix, which is right.
            _ = sws_setColorspaceDetails(
                pointer, colours, Self.isFullRange(frame, isStill: isStill) ? 1 : 0, colours, 1, 0, one, one)
        }

        deinit {
            sws_freeContext(pointer)
        }

        func run(_ frame: borrowing Frame, into result: borrowing Frame) -> Bool {
            sws_scale_frame(pointer, result.pointer, frame.pointer) >= 0
        }

        /// JFIF says BT.601; a video that does not say is taken for BT.709 from 720 lines on.
        private static func matrix(of frame: borrowing Frame, isStill: Bool) -> Int32 {
            switch frame.pointer.pointee.colorspace {
            case AVCOL_SPC_BT709: SWS_CS_ITU709
            case AVCOL_SPC_FCC: SWS_CS_FCC
            case AVCOL_SPC_SMPTE240M: SWS_CS_SMPTE240M
            case AVCOL_SPC_BT2020_NCL, AVCOL_SPC_BT2020_CL: SWS_CS_BT2020
            case AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M: SWS_CS_ITU601
            default: !isStill && min(frame.width, frame.height) >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601
            }
        }

        private static func isFullRange(_ frame: borrowing Frame, isStill: Bool) -> Bool {
            switch frame.pointer.pointee.color_range {
            case AVCOL_RANGE_JPEG: true
            case AVCOL_RANGE_MPEG: false
            default: isStill || frame.format == AV_PIX_FMT_YUVJ420P
            }
        }
    }
}
