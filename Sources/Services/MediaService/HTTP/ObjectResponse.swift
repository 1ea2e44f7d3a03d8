import Base
import Crypto
import HTTP
import HTTPCodec
import MediaEngine
import Runtime
import Wire

/// The answer to a GET or HEAD of an object: its head from the conditions and the range, its body chunk by chunk.
struct ObjectResponse: Sendable {
    let media: MediaID
    /// Empty for the original.
    let variant: String
    let found: MediaFound
    let type: ServedType
    let objects: Objects
    let disk: Disk
    let metrics: MediaMetrics
    let directory: any MediaDirectory
    let configuration: MediaService.Configuration

    /// Strong: of the original its id, of a derivative the root of its manifest.
    private var tag: EntityTag { EntityTag(variant.isEmpty ? "\(media)" : Hex.encode(found.manifestRoot)) }

    func send(_ exchange: HTTPExchange) async throws {
        let fields = exchange.request.fields
        let isGet = exchange.request.method == "GET"
        let decision = FetchDecision(
            .init(
                ifMatch: Self.list(fields, "If-Match"), ifNoneMatch: Self.list(fields, "If-None-Match"),
                range: fields["Range"], ifRange: fields["If-Range"]), isGet: isGet, tag: tag, length: found.sizeBytes)
        switch decision {
        case .notModified:
            try await exchange.respond(
                HTTPResponse(status: 304, fields: ["ETag": tag.text, "Cache-Control": cacheControl]))
        case .preconditionFailed:
            throw ProblemDetails(status: 412, detail: "The media has the entity tag \(tag.text).")
        case .unsatisfiable:
            throw ProblemDetails(
                status: 416, detail: "The media has \(found.sizeBytes) bytes, from 0 to \(found.sizeBytes - 1).",
                fields: ["Content-Range": "bytes */\(found.sizeBytes)"])
        case .whole:
            var response = head(200)
            response.fields["Content-Length"] = "\(found.sizeBytes)"
            if found.sizeBytes == 0 || !isGet { return try await exchange.respond(response) }
            try await send(exchange, response, [(Part(range: 0..<found.sizeBytes))])
        case .partial(let ranges):
            var response = head(206)
            if ranges.count == 1 {
                response.fields["Content-Range"] = contentRange(ranges[0])
                response.fields["Content-Length"] = "\(ranges[0].count)"
                return try await send(exchange, response, [Part(range: ranges[0])])
            }
            let boundary = Hex.encode(randomBytes(16))
            let parts = ranges.enumerated().map { index, range in
                Part(
                    prefix: Array(
                        "\(index == 0 ? "" : "\r\n")--\(boundary)\r\nContent-Type: \(type.contentType)\r\nContent-Range: \(contentRange(range))\r\n\r\n"
                            .utf8), range: range)
            }
            let end = Array("\r\n--\(boundary)--\r\n".utf8)
            response.fields["Content-Type"] = "multipart/byteranges; boundary=\(boundary)"
            response.fields["Content-Length"] = "\(parts.reduce(end.count) { $0 + $1.prefix.count + $1.range.count })"
            try await send(exchange, response, parts, end: end)
        }
    }

    private struct Part {
        var prefix: [UInt8] = []
        var range: Range<Int64>
    }

    private func contentRange(_ range: Range<Int64>) -> String {
        "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(found.sizeBytes)"
    }

    /// A field that may stand several times is one list.
    private static func list(_ fields: HTTPFields, _ name: String) -> String? {
        let values = fields.values(of: name)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    private func head(_ status: Int) -> HTTPResponse {
        var response = HTTPResponse(
            status: status,
            fields: [
                "Content-Type": type.contentType, "Content-Disposition": type.disposition(filename: found.filename),
                "ETag": tag.text, "Cache-Control": cacheControl, "Accept-Ranges": "bytes",
                "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
            ])
        if variant.isEmpty { response.fields["Repr-Digest"] = DigestField.text(media) }
        return response
    }

    private var cacheControl: String {
        if found.noStore { return "no-store" }
        let year: Int64 = 31_536_000
        var age = year
        if let expiresAt = found.expiresAt {
            // Without a clock nothing is known of the remaining life.
            age = directory.centralTime.map { min(year, max(0, (expiresAt - $0).milliseconds / 1000)) } ?? 0
        }
        return "private, max-age=\(age), immutable"
    }

    /// The first bytes are at hand before the head goes out, so that what fails early is a proper answer.
    private func send(
        _ exchange: HTTPExchange, _ response: HTTPResponse, _ parts: [Part], end: [UInt8] = []
    ) async throws {
        let object = try await objects.object(found, media: media, variant: variant, on: exchange.loop)
        var next = try await piece(object, from: parts[0].range.lowerBound, to: parts[0].range.upperBound)
        try await exchange.start(response)
        for (index, part) in parts.enumerated() {
            if !part.prefix.isEmpty { try await exchange.write(part.prefix) }
            var position = part.range.lowerBound
            while position < part.range.upperBound {
                if index > 0 || position > part.range.lowerBound {
                    next = try await piece(object, from: position, to: part.range.upperBound)
                }
                switch next {
                case .bytes(let bytes):
                    try await exchange.write(bytes)
                    position += Int64(bytes.count)
                case .file(let offset, let count):
                    try await exchange.writeFile(object.file.descriptor, offset: offset, count: count)
                    position += Int64(count)
                }
            }
        }
        if !end.isEmpty { try await exchange.write(end) }
        metrics.servedBytes.increment(by: UInt64(parts.reduce(0) { $0 + $1.range.count }))
        try await exchange.end()
    }

    private enum Piece {
        case bytes([UInt8])
        /// Of a sealed object: as they lie in the file.
        case file(offset: Int64, count: Int)
    }

    /// The next bytes of a range, as many as are there and as one step takes.
    private func piece(_ object: StoredObject, from start: Int64, to end: Int64) async throws -> Piece {
        if let expiresAt = found.expiresAt, let time = directory.centralTime, time >= expiresAt {
            throw MediaProblem.notFound
        }
        let wanted = object.layout.chunks(holding: start..<end)
        let limit = max(1, configuration.readBatchBytes / ChunkLayout.chunkBytes)
        let count = try await object.available(from: wanted.lowerBound, limit: min(limit, wanted.count))
        let chunks = wanted.lowerBound..<wanted.lowerBound + count
        let stop = min(end, Int64(chunks.upperBound) * Int64(ChunkLayout.chunkBytes))
        do {
            switch object.layout.mode {
            case .sealed:
                try await disk.run { try object.check(chunks) }
                return .file(offset: start, count: Int(stop - start))
            case .managed:
                guard let key = found.objectKey else {
                    throw EdgeError(.corrupt, "the directory gave no key", side: .upstream)
                }
                return .bytes(try await disk.run { try object.decrypt(chunks, within: start..<stop, key: key) })
            }
        } catch let error as EdgeError where error.kind == .corrupt && error.side == .internal {
            await objects.isBroken(object, holders: found.holders)
            throw error
        }
    }
}
