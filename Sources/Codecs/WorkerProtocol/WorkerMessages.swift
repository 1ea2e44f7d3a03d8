import Base

/// What an edge and a media worker say to each other over one stream socket. One process does one job:
///
/// 1. the edge sends `job`;
/// 2. the worker locks itself in, then asks with `read` for the input, as often and in whatever order it needs, and the edge
///    answers each with one `data` (shorter than asked only at the end of the input) or with `inputFailed`;
/// 3. the worker ends with one `image` or one `failed`, and exits.
///
/// A frame is `u32 length | u8 kind | body`, integers in network byte order; the length counts kind and body.
package enum WorkerProtocol {
    /// The first byte of a job; a worker refuses any other than its own.
    package static let version: UInt8 = 1
    /// The most that one `read` may ask for.
    package static let maxReadBytes = 65_536
    /// Length and kind.
    package static let headerCount = 5
}

/// What a worker is to make, and what it may use.
package struct WorkerJob: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// A still WebP image of a photo, or of an early key frame of a video.
        case thumbnail = 1
    }

    package struct Limits: Equatable, Sendable {
        /// Width times height of a picture that may be decoded.
        package var maxPixels: UInt64
        /// All bytes that may be read, repetitions counted.
        package var maxInputBytes: UInt64
        /// Compressed frames that may be looked through at one place of a video, in search of a key frame.
        package var maxFrames: UInt32
        package var maxOutputBytes: UInt32
        /// Address space beyond what the loaded program takes.
        package var memoryBytes: UInt64
        package var cpuSeconds: UInt32

        package init(
            maxPixels: UInt64, maxInputBytes: UInt64, maxFrames: UInt32, maxOutputBytes: UInt32, memoryBytes: UInt64,
            cpuSeconds: UInt32
        ) {
            self.maxPixels = maxPixels
            self.maxInputBytes = maxInputBytes
            self.maxFrames = maxFrames
            self.maxOutputBytes = maxOutputBytes
            self.memoryBytes = memoryBytes
            self.cpuSeconds = cpuSeconds
        }
    }

    package var kind: Kind
    /// Pixels; the picture is never enlarged.
    package var width: UInt32
    /// libwebp's quality, 0 to 100.
    package var quality: UInt8
    package var inputBytes: UInt64
    package var limits: Limits

    package init(kind: Kind, width: UInt32, quality: UInt8, inputBytes: UInt64, limits: Limits) {
        self.kind = kind
        self.width = width
        self.quality = quality
        self.inputBytes = inputBytes
        self.limits = limits
    }
}

/// Why a worker made nothing.
package enum WorkerFailure: UInt8, Error, Sendable {
    /// Not a format, or a codec within it, that workers decode.
    case unsupported = 1
    /// More pixels, or more bytes of a picture, than the job allows.
    case tooLarge = 2
    /// The format is right, and nothing in it can be decoded.
    case corrupt = 3
    /// Memory, frames, bytes read or the size of the output ran over.
    case limit = 4
    /// The edge did not deliver the input.
    case input = 5
    /// The kernel refused a part of the sandbox; nothing was read.
    case sandbox = 6
    /// The job was not understood.
    case job = 7
}

package enum WorkerProtocolError: Error, Equatable {
    case unknownKind, badLength, badValue
}

/// What the edge sends.
package enum EdgeMessage: Equatable, Sendable {
    case job(WorkerJob)
    case data([UInt8])
    case inputFailed
}

/// What the worker sends.
package enum WorkerMessage: Equatable, Sendable {
    case read(offset: UInt64, count: UInt32)
    case image(width: UInt32, height: UInt32, bytes: [UInt8])
    case failed(WorkerFailure)
}

/// A message that travels in a frame.
package protocol WorkerFramed {
    var frame: [UInt8] { get }
    init(kind: UInt8, body: RawSpan) throws(WorkerProtocolError)
}

extension WorkerFramed {
    /// Takes one message off the front of what has arrived.
    ///
    /// - Parameter maxBodyBytes: a longer body is refused when its length is read, before it is stored.
    /// - Returns: the message and how many bytes it took, or nil while it is incomplete.
    package static func parse(
        _ bytes: RawSpan, maxBodyBytes: Int
    ) throws(WorkerProtocolError) -> (message: Self, count: Int)? {
        guard bytes.byteCount >= 4 else { return nil }
        let length = Int(bytes.bigEndian(at: 0, as: UInt32.self))
        guard length >= 1, length - 1 <= maxBodyBytes else { throw .badLength }
        guard bytes.byteCount >= 4 + length else { return nil }
        let kind = bytes.bigEndian(at: 4, as: UInt8.self)
        let body = bytes.extracting(WorkerProtocol.headerCount..<(4 + length))
        return (try Self(kind: kind, body: body), 4 + length)
    }

    fileprivate static func frame(kind: UInt8, bodyCount: Int, _ fill: (inout [UInt8]) -> Void) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(WorkerProtocol.headerCount + bodyCount)
        bytes.append(bigEndian: UInt32(1 + bodyCount))
        bytes.append(kind)
        fill(&bytes)
        precondition(bytes.count == WorkerProtocol.headerCount + bodyCount)
        return bytes
    }
}

extension EdgeMessage: WorkerFramed {
    private static let jobBodyCount = 51

    package var frame: [UInt8] {
        switch self {
        case .job(let job):
            Self.frame(kind: 1, bodyCount: Self.jobBodyCount) { bytes in
                bytes.append(WorkerProtocol.version)
                bytes.append(job.kind.rawValue)
                bytes.append(bigEndian: job.width)
                bytes.append(job.quality)
                bytes.append(bigEndian: job.inputBytes)
                bytes.append(bigEndian: job.limits.maxPixels)
                bytes.append(bigEndian: job.limits.maxInputBytes)
                bytes.append(bigEndian: job.limits.maxFrames)
                bytes.append(bigEndian: job.limits.maxOutputBytes)
                bytes.append(bigEndian: job.limits.memoryBytes)
                bytes.append(bigEndian: job.limits.cpuSeconds)
            }
        case .data(let data):
            Self.frame(kind: 2, bodyCount: data.count) { $0 += data }
        case .inputFailed:
            Self.frame(kind: 3, bodyCount: 0) { _ in }
        }
    }

    package init(kind: UInt8, body: RawSpan) throws(WorkerProtocolError) {
        switch kind {
        case 1:
            guard body.byteCount == Self.jobBodyCount else { throw .badLength }
            guard body.bigEndian(at: 0, as: UInt8.self) == WorkerProtocol.version,
                let kind = WorkerJob.Kind(rawValue: body.bigEndian(at: 1, as: UInt8.self))
            else { throw .badValue }
            let job = WorkerJob(
                kind: kind,
                width: body.bigEndian(at: 2, as: UInt32.self),
                quality: body.bigEndian(at: 6, as: UInt8.self),
                inputBytes: body.bigEndian(at: 7, as: UInt64.self),
                limits: WorkerJob.Limits(
                    maxPixels: body.bigEndian(at: 15, as: UInt64.self),
                    maxInputBytes: body.bigEndian(at: 23, as: UInt64.self),
                    maxFrames: body.bigEndian(at: 31, as: UInt32.self),
                    maxOutputBytes: body.bigEndian(at: 35, as: UInt32.self),
                    memoryBytes: body.bigEndian(at: 39, as: UInt64.self),
                    cpuSeconds: body.bigEndian(at: 47, as: UInt32.self)))
            guard job.width > 0, job.quality <= 100, job.inputBytes <= UInt64(Int64.max) else { throw .badValue }
            self = .job(job)
        case 2:
            self = .data(body.array)
        case 3:
            guard body.byteCount == 0 else { throw .badLength }
            self = .inputFailed
        default:
            throw .unknownKind
        }
    }
}

extension WorkerMessage: WorkerFramed {
    package var frame: [UInt8] {
        switch self {
        case .read(let offset, let count):
            Self.frame(kind: 17, bodyCount: 12) { bytes in
                bytes.append(bigEndian: offset)
                bytes.append(bigEndian: count)
            }
        case .image(let width, let height, let image):
            Self.frame(kind: 18, bodyCount: 8 + image.count) { bytes in
                bytes.append(bigEndian: width)
                bytes.append(bigEndian: height)
                bytes += image
            }
        case .failed(let failure):
            Self.frame(kind: 19, bodyCount: 1) { $0.append(failure.rawValue) }
        }
    }

    package init(kind: UInt8, body: RawSpan) throws(WorkerProtocolError) {
        switch kind {
        case 17:
            guard body.byteCount == 12 else { throw .badLength }
            let count = body.bigEndian(at: 8, as: UInt32.self)
            guard 1...WorkerProtocol.maxReadBytes ~= Int(count) else { throw .badValue }
            self = .read(offset: body.bigEndian(at: 0, as: UInt64.self), count: count)
        case 18:
            guard body.byteCount > 8 else { throw .badLength }
            let width = body.bigEndian(at: 0, as: UInt32.self)
            let height = body.bigEndian(at: 4, as: UInt32.self)
            guard 1...16_383 ~= width, 1...16_383 ~= height else { throw .badValue }
            self = .image(width: width, height: height, bytes: body.extracting(droppingFirst: 8).array)
        case 19:
            guard body.byteCount == 1 else { throw .badLength }
            guard let failure = WorkerFailure(rawValue: body.bigEndian(at: 0, as: UInt8.self)) else { throw .badValue }
            self = .failed(failure)
        default:
            throw .unknownKind
        }
    }
}
