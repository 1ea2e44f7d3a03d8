import Base
import HTTP
import HTTPCodec
import Runtime

extension MediaClient {
    /// Uploads a file by tus 1.0.0, going on at the durable offset after every lost connection.
    ///
    /// - Parameters:
    ///   - state: where to remember the upload, so that a later call goes on with it; removed when it is finished.
    ///   - progress: called as bytes are sent; after a lost connection the count may fall back.
    /// - Throws: what the last attempt failed with: `AnswerError` for a refusal, `TransferStopped` if `progress` threw.
    package func upload(
        _ path: String, _ options: UploadOptions = UploadOptions(), state: UploadStateFile? = nil,
        progress: @escaping TransferProgress = { _, _ in }
    ) async throws -> UploadResult {
        let (file, size, hash) = try await pool.run {
            let file = try File.openNamed(path)
            return (file, try file.size(), try file.sha256())
        }
        guard let media = MediaID(bytes: hash) else { preconditionFailure("SHA-256 has 32 bytes") }
        var backoff = Backoff(firstDelayMs: configuration.firstRetryDelayMs, maxDelayMs: configuration.maxRetryDelayMs)
        var transfer = try await resume(state, media, size)
        let resumedAt = transfer?.offset ?? 0
        var reconnects = 0
        while transfer?.offset != size {
            do {
                if transfer == nil {
                    let path = try await create(media, size, options)
                    transfer = Transfer(path: path, offset: 0)
                    if let state {
                        let saved = UploadState(uploadPath: path, sizeBytes: size, sha256: media)
                        try await pool.run { try state.save(saved) }
                    }
                }
                guard let current = transfer, current.offset < size else { continue }
                transfer = try await send(file, size, current, progress)
                backoff.reset()
            } catch {
                reconnects += 1
                try await recover(from: error, &backoff)
                transfer = try await reexamine(transfer, &backoff)
            }
        }
        let confirmed = try await awaitRegistration(transfer, &backoff)
        guard confirmed == media else {
            throw EdgeError(.corrupt, "the server has \(confirmed), the file is \(media)", side: .upstream)
        }
        if let state { try await pool.run { try state.remove() } }
        return UploadResult(media: media, sizeBytes: size, resumedAtBytes: resumedAt, reconnects: reconnects)
    }

    /// An upload at the server.
    private struct Transfer {
        var path: String
        /// What the server is known to hold.
        var offset: Int64
        var media: MediaID?
    }

    private var tus: HTTPFields { ["Tus-Resumable": "1.0.0"] }

    /// The upload that an earlier call began, unless the file changed or the server no longer has it.
    private func resume(_ state: UploadStateFile?, _ media: MediaID, _ size: Int64) async throws -> Transfer? {
        guard let state, let saved = try await pool.run({ state.load() }), saved.sha256 == media,
            saved.sizeBytes == size
        else { return nil }
        var backoff = Backoff(firstDelayMs: configuration.firstRetryDelayMs, maxDelayMs: configuration.maxRetryDelayMs)
        return try await reexamine(Transfer(path: saved.uploadPath, offset: 0), &backoff)
    }

    /// - Returns: the path of the new upload.
    private func create(_ media: MediaID, _ size: Int64, _ options: UploadOptions) async throws -> String {
        let pairs: [(String, String?)] = [
            ("filename", options.filename), ("filetype", options.contentType), ("mode", options.mode),
            ("retention", options.retention), ("sha256", "\(media)"),
        ]
        var fields = tus
        fields["Upload-Length"] = "\(size)"
        fields["Upload-Metadata"] = pairs.compactMap { name, value in
            value.map { "\(name) \(Base64.encode(Array($0.utf8)))" }
        }.joined(separator: ",")
        let response = try await request("POST", "/media/uploads", fields)
        guard response.status == 201, let location = response.fields["Location"] else {
            throw await AnswerError.reading(response)
        }
        _ = try await response.collect(upTo: 64 * 1024)
        // An absolute one may lead elsewhere, where the token has no business.
        return HTTPRequest(method: "HEAD", target: location).path
    }

    /// Sends all that the server does not have in one PATCH.
    private func send(
        _ file: File, _ size: Int64, _ transfer: Transfer, _ progress: @escaping TransferProgress
    ) async throws -> Transfer {
        let start = transfer.offset
        var fields = tus
        fields["Content-Type"] = "application/offset+octet-stream"
        fields["Upload-Offset"] = "\(start)"
        let body = UploadBody(file, from: start, to: size, pieceBytes: configuration.pieceBytes, pool, progress)
        let response: HTTPClientResponse
        do {
            response = try await request(
                "PATCH", transfer.path, fields, body: .stream(length: Int(size - start)) { try await body.next() })
        } catch {
            if body.wasStopped { throw TransferStopped() }
            throw error
        }
        guard response.status == 204 || response.status == 200 else { throw await AnswerError.reading(response) }
        guard let offset = response.fields["Upload-Offset"].flatMap({ Int64($0) }), (start...size).contains(offset)
        else {
            throw EdgeError(.corrupt, "the answer to PATCH has no good Upload-Offset", side: .upstream)
        }
        _ = try await response.collect(upTo: 64 * 1024)
        return Transfer(path: transfer.path, offset: offset, media: response.fields["Media-Id"].flatMap { MediaID($0) })
    }

    /// Asks for the durable offset; nil when the upload is gone and must be created again.
    private func reexamine(_ transfer: Transfer?, _ backoff: inout Backoff) async throws -> Transfer? {
        guard var transfer else { return nil }
        while true {
            do {
                let response = try await request("HEAD", transfer.path, tus)
                switch response.status {
                case 200, 204:
                    guard let offset = response.fields["Upload-Offset"].flatMap({ Int64($0) }), offset >= 0 else {
                        throw EdgeError(.corrupt, "the answer to HEAD has no good Upload-Offset", side: .upstream)
                    }
                    if offset > transfer.offset { backoff.reset() }
                    transfer.offset = offset
                    transfer.media = response.fields["Media-Id"].flatMap { MediaID($0) }
                    _ = try await response.collect(upTo: 1024)
                    return transfer
                case 404, 410:
                    _ = try await response.collect(upTo: 64 * 1024)
                    return nil
                default: throw await AnswerError.reading(response)
                }
            } catch {
                try await recover(from: error, &backoff)
            }
        }
    }

    /// All bytes are durable; the id follows once the central has the object in its directory.
    private func awaitRegistration(_ transfer: Transfer?, _ backoff: inout Backoff) async throws -> MediaID {
        let deadline = loop.now + .milliseconds(configuration.registrationTimeoutMs)
        var transfer = transfer
        while true {
            if let media = transfer?.media { return media }
            guard loop.now < deadline else {
                throw EdgeError(
                    .timeout, "all bytes are at the edge, but the upload has no id yet", side: .upstream,
                    isRetryable: true)
            }
            try await loop.sleep(for: .milliseconds(250))
            transfer = try await reexamine(transfer, &backoff)
            if transfer == nil { throw EdgeError(.notFound, "the finished upload is gone", side: .upstream) }
        }
    }
}
