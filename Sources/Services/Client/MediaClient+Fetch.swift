package import Base
import HTTP
import HTTPCodec
import Runtime

extension MediaClient {
    /// Fetches a media object into a file, going on with a part that an earlier call left, and checks its hash.
    ///
    /// The file appears under its name when it is whole and right; until then it is `<target>.<id>.part` beside it.
    package func fetch(
        _ media: MediaID, to target: String, progress: @escaping TransferProgress = { _, _ in }
    ) async throws -> FetchResult {
        try await fetch(path: "/media/\(media)", expecting: media, to: target, progress: progress)
    }

    /// As `fetch(_:to:)`, by a path of the caller's: a signed one (`/s/…/media/<id>`).
    package func fetch(
        path: String, expecting media: MediaID, to target: String, progress: @escaping TransferProgress = { _, _ in }
    ) async throws -> FetchResult {
        let partPath = "\(target).\(Hex.encode(media.bytes.prefix(6))).part"
        var part = try await pool.run {
            let file = try File(partPath, FileSystem.exists(partPath) ? .update : .create)
            return Part(file: file, count: try file.size())
        }
        let file = part.file
        let resumedAt = part.count
        var backoff = Backoff(firstDelayMs: configuration.firstRetryDelayMs, maxDelayMs: configuration.maxRetryDelayMs)
        var reconnects = 0
        while true {
            let before = part.count
            do {
                try await receive(path, media, into: &part, progress)
                break
            } catch {
                if part.count > before { backoff.reset() }
                reconnects += 1
                try await recover(from: error, &backoff)
            }
        }
        let hash = try await pool.run {
            try file.synchronize()
            return try file.sha256()
        }
        guard hash == media.bytes else {
            try await pool.run { try FileSystem.remove(partPath) }
            throw EdgeError(.corrupt, "what came is not \(media): its SHA-256 is \(Hex.encode(hash))", side: .upstream)
        }
        try await pool.run { try FileSystem.rename(partPath, to: target) }
        return FetchResult(
            sizeBytes: part.count, contentType: part.contentType, sha256: media, resumedAtBytes: resumedAt,
            reconnects: reconnects)
    }

    /// What is here of the object.
    private struct Part {
        let file: File
        var count: Int64
        var contentType = ""
    }

    /// One request for the rest; returns when the object is complete.
    private func receive(
        _ path: String, _ media: MediaID, into part: inout Part, _ progress: TransferProgress
    ) async throws {
        var fields: HTTPFields = [:]
        if part.count > 0 {
            fields["Range"] = "bytes=\(part.count)-"
            fields["If-Range"] = "\"\(media)\""
        }
        let response = try await request("GET", path, fields)
        let file = part.file
        let total: Int64
        switch response.status {
        case 200:
            if part.count > 0 {
                try await pool.run { try file.truncate(to: 0) }
                part.count = 0
            }
            total = response.fields["Content-Length"].flatMap { Int64($0) } ?? -1
        case 206:
            guard let range = ContentRange(response.fields["Content-Range"] ?? ""), range.first == part.count else {
                throw EdgeError(.corrupt, "the answer is another range than the one asked for", side: .upstream)
            }
            total = range.total
        case 416:
            // The part is all there is, or more than there is: the hash decides.
            let size = ContentRange.unsatisfiedSize(response.fields["Content-Range"] ?? "")
            _ = try await response.collect(upTo: 64 * 1024)
            if size == part.count { return }
            try await pool.run { try file.truncate(to: 0) }
            part.count = 0
            throw EdgeError(.conflict, "the part was longer than the object", side: .upstream, isRetryable: true)
        default: throw await AnswerError.reading(response)
        }
        part.contentType = response.fields["Content-Type"] ?? ""
        while let bytes = try await response.read() {
            let position = part.count
            try await pool.run { try file.write(bytes, at: position) }
            part.count += Int64(bytes.count)
            do { try progress(part.count, max(total, part.count)) } catch { throw TransferStopped() }
        }
        guard total < 0 || part.count == total else {
            throw EdgeError(
                .closed, "the answer ended after \(part.count) of \(total) bytes", side: .upstream, isRetryable: true)
        }
    }
}

/// `Content-Range: bytes 5-9/10` (RFC 9110 section 14.4).
struct ContentRange: Equatable {
    let first: Int64
    let last: Int64
    let total: Int64

    init?(_ text: String) {
        guard text.hasPrefix("bytes ") else { return nil }
        let numbers = text.dropFirst(6).split(whereSeparator: { $0 == "-" || $0 == "/" }).map { Int64($0) }
        guard numbers.count == 3, let first = numbers[0], let last = numbers[1], let total = numbers[2],
            first <= last, last < total
        else { return nil }
        (self.first, self.last, self.total) = (first, last, total)
    }
}

extension ContentRange {
    /// The size in `bytes */10`, the answer to a range behind the end.
    static func unsatisfiedSize(_ text: String) -> Int64? {
        text.hasPrefix("bytes */") ? Int64(text.dropFirst(8)) : nil
    }
}
