import CFFmpeg
import WorkerProtocol

/// The job `thumbnail`, from compressed input to WebP.
enum Thumbnail {
    /// Where in a video the picture is taken: past a fade-in, before anything is given away.
    private static let videoFraction = 0.1

    static func make(_ job: WorkerJob, from input: InputChannel) throws(WorkerFailure) -> WorkerMessage {
        let prefix = try input.bytes(at: 0, count: Container.prefixCount)
        guard let container = Container(prefix: prefix) else { throw .unsupported }
        if container.isStill, job.inputBytes > job.limits.maxInputBytes { throw .tooLarge }
        if let size = try PictureHeader.size(of: container, in: input),
            UInt64(size.width) * UInt64(size.height) > job.limits.maxPixels
        {
            throw .tooLarge
        }
        guard input.seek(to: 0) else { throw .input }

        let demuxer = try Demuxer(input: input, container: container)
        let frame = try picture(of: demuxer, job.limits)

        let orientation = Orientation(displayMatrix: container.isStill ? frame.displayMatrix : demuxer.displayMatrix)
        let size = Scaler.Size(
            fitting: (frame.width, frame.height), aspect: container.isStill ? 1 : aspect(of: frame),
            isTransposed: orientation.isTransposed, width: Int(job.width))
        let scaled = try Scaler.scale(frame, to: size, isStill: container.isStill)
        let bitmap = orientation.apply(to: scaled)
        let bytes = try WebPEncoder(bitmap).encode(quality: job.quality, maxOutputBytes: job.limits.maxOutputBytes)
        return .image(width: UInt32(bitmap.width), height: UInt32(bitmap.height), bytes: bytes)
    }

    private static func picture(
        of demuxer: Demuxer, _ limits: WorkerJob.Limits
    ) throws(WorkerFailure) -> Frame {
        let decoder = try FrameDecoder(
            container: demuxer.container, parameters: demuxer.parameters, maxPixels: limits.maxPixels)
        let packet = try Packet()
        if demuxer.container.isStill {
            guard try demuxer.readPacket(into: packet), let frame = try decoder.decode(packet) else { throw .corrupt }
            return frame
        }
        if try demuxer.seek(toFraction: videoFraction),
            let frame = try keyFrame(of: demuxer, decoder, packet, limits.maxFrames)
        {
            return frame
        }
        if try demuxer.seekToStart(), let frame = try keyFrame(of: demuxer, decoder, packet, limits.maxFrames) {
            return frame
        }
        throw .corrupt
    }

    /// The first key frame from here on that decodes without damage.
    private static func keyFrame(
        of demuxer: Demuxer, _ decoder: FrameDecoder, _ packet: borrowing Packet, _ maxFrames: UInt32
    ) throws(WorkerFailure) -> Frame? {
        for _ in 0..<maxFrames {
            guard try demuxer.readPacket(into: packet) else { return nil }
            if packet.isKeyFrame, let frame = try decoder.decode(packet), !frame.isDamaged { return frame }
        }
        return nil
    }

    /// The width of a sample by its height; 1 when it is not told or makes no sense.
    private static func aspect(of frame: borrowing Frame) -> Double {
        let ratio = frame.pointer.pointee.sample_aspect_ratio
        guard ratio.num > 0, ratio.den > 0 else { return 1 }
        let aspect = Double(ratio.num) / Double(ratio.den)
        return 0.1...10 ~= aspect ? aspect : 1
    }
}
