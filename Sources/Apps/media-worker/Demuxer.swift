import CFFmpeg
import WorkerProtocol

/// Finds the one picture stream of the input, and its compressed frames.
final class Demuxer {
    private static let bufferBytes = 32_768
    private static let maxStreams: Int32 = 64

    let container: Container
    private let input: InputChannel
    private let io: UnsafeMutablePointer<AVIOContext>
    private var format: UnsafeMutablePointer<AVFormatContext>
    private let stream: UnsafeMutablePointer<AVStream>

    init(input: InputChannel, container: Container) throws(WorkerFailure) {
        self.input = input
        self.container = container
        io = try Self.makeIO(input)
        do {
            format = try Self.open(io, container: container)
        } catch {
            Self.free(io)
            throw input.failure ?? error
        }
        guard let stream = Self.pictureStream(of: format, container: container) else {
            Self.close(format, io)
            throw .unsupported
        }
        self.stream = stream
    }

    deinit {
        Self.close(format, io)
    }

    var parameters: UnsafeMutablePointer<AVCodecParameters> { stream.pointee.codecpar }

    /// The stream's display matrix, nine values.
    var displayMatrix: [Int32]? {
        var count = 0
        guard let data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &count) else { return nil }
        return Orientation.matrix(at: data, count: count)
    }

    /// Reads the picture stream's next frame into the packet.
    ///
    /// - Returns: false at the end of the input, or where it cannot be read on.
    func readPacket(into packet: borrowing Packet) throws(WorkerFailure) -> Bool {
        while true {
            av_packet_unref(packet.pointer)
            let result = av_read_frame(format, packet.pointer)
            if let failure = input.failure { throw failure }
            if result == skerry_averror(ENOMEM) { throw .limit }
            guard result >= 0 else { return false }
            if packet.pointer.pointee.stream_index == stream.pointee.index { return true }
        }
    }

    /// Goes to the first key frame at or after the given part of the duration.
    ///
    /// - Returns: false when there is none, or no duration is told; the place is then undefined until the next seek.
    func seek(toFraction fraction: Double) throws(WorkerFailure) -> Bool {
        let unknown = skerry_av_nopts_value()
        let duration = stream.pointee.duration
        guard duration != unknown, duration > 0 else { return false }
        let start = stream.pointee.start_time == unknown ? 0 : stream.pointee.start_time
        let (target, overflow) = start.addingReportingOverflow(Int64(Double(duration) * fraction))
        // Without an entry in the index, libavformat would read the file through in search of one.
        guard !overflow, let entry = avformat_index_get_entry_from_timestamp(stream, target, 0) else { return false }
        return try seek(to: entry.pointee.timestamp, flags: AVSEEK_FLAG_BACKWARD)
    }

    func seekToStart() throws(WorkerFailure) -> Bool {
        try seek(to: 0, flags: AVSEEK_FLAG_BACKWARD)
    }

    private func seek(to time: Int64, flags: Int32) throws(WorkerFailure) -> Bool {
        let result = av_seek_frame(format, stream.pointee.index, time, flags)
        if let failure = input.failure { throw failure }
        return result >= 0
    }

    private static func makeIO(_ input: InputChannel) throws(WorkerFailure) -> UnsafeMutablePointer<AVIOContext> {
        guard let memory = av_malloc(bufferBytes) else { throw .limit }
        // The demuxer keeps the input alive as long as the context that points to it.
        let context = avio_alloc_context(
            memory.assumingMemoryBound(to: UInt8.self), Int32(bufferBytes), 0,
            Unmanaged.passUnretained(input).toOpaque(),
            { opaque, buffer, count in
                guard let opaque, let buffer else { return skerry_averror(EIO) }
                let input = Unmanaged<InputChannel>.fromOpaque(opaque).takeUnretainedValue()
                switch input.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: Int(count))) {
                case nil: return skerry_averror(EIO)
                case 0: return skerry_averror_eof()
                case let read?: return Int32(read)
                }
            },
            nil,
            { opaque, offset, whence in
                guard let opaque else { return Int64(skerry_averror(EIO)) }
                let input = Unmanaged<InputChannel>.fromOpaque(opaque).takeUnretainedValue()
                let base: Int64
                switch whence & ~AVSEEK_FORCE {
                case AVSEEK_SIZE: return input.size
                case SEEK_SET: base = 0
                case SEEK_CUR: base = input.currentPosition
                case SEEK_END: base = input.size
                default: return Int64(skerry_averror(EINVAL))
                }
                let (target, overflow) = base.addingReportingOverflow(offset)
                guard !overflow, input.seek(to: target) else { return Int64(skerry_averror(EINVAL)) }
                return target
            })
        guard let context else {
            av_free(memory)
            throw .limit
        }
        return context
    }

    private static func open(
        _ io: UnsafeMutablePointer<AVIOContext>, container: Container
    ) throws(WorkerFailure) -> UnsafeMutablePointer<AVFormatContext> {
        guard let demuxer = av_find_input_format(container.demuxerName) else { throw .unsupported }
        var format = avformat_alloc_context()
        guard let context = format else { throw .limit }
        context.pointee.pb = io
        // The whole file is one frame for the picture formats, and mp4 needs no parser either.
        context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_NOPARSE
        context.pointee.max_streams = maxStreams
        context.pointee.format_whitelist = av_strdup(container.demuxerName)
        context.pointee.protocol_whitelist = av_strdup("")
        // A reference to another file is never followed.
        context.pointee.io_open = { _, _, _, _, _ in skerry_averror(EPERM) }
        // Frees the context when it fails.
        let result = avformat_open_input(&format, nil, demuxer, nil)
        guard result >= 0, let format else {
            throw result == skerry_averror(ENOMEM) ? .limit : .corrupt
        }
        return format
    }

    private static func pictureStream(
        of format: UnsafeMutablePointer<AVFormatContext>, container: Container
    ) -> UnsafeMutablePointer<AVStream>? {
        var found: UnsafeMutablePointer<AVStream>?
        for index in 0..<Int(format.pointee.nb_streams) {
            guard let stream = format.pointee.streams[index], let parameters = stream.pointee.codecpar else { continue }
            let isPicture =
                parameters.pointee.codec_type == AVMEDIA_TYPE_VIDEO
                && stream.pointee.disposition & AV_DISPOSITION_ATTACHED_PIC == 0
                && String(cString: avcodec_get_name(parameters.pointee.codec_id)) == container.decoderName
            if isPicture, found == nil {
                found = stream
            } else {
                stream.pointee.discard = AVDISCARD_ALL
            }
        }
        return found
    }

    private static func close(_ format: UnsafeMutablePointer<AVFormatContext>, _ io: UnsafeMutablePointer<AVIOContext>)
    {
        var format: UnsafeMutablePointer<AVFormatContext>? = format
        avformat_close_input(&format)
        free(io)
    }

    private static func free(_ io: UnsafeMutablePointer<AVIOContext>) {
        // libavformat may have put another buffer in the place of ours.
        av_freep(&io.pointee.buffer)
        var io: UnsafeMutablePointer<AVIOContext>? = io
        avio_context_free(&io)
    }
}
