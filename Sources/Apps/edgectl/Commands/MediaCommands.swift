import Base
import Client
import Crypto
import Glibc
import JSONCodec
import Runtime

enum UploadCommand {
    private static let file = Parameter<String>.positional("FILE", .path, "what to upload")
    private static let mode = Parameter<String>.optional(
        "--mode", .oneOf(["managed", "sealed"]),
        "who encrypts: the edge (managed, the server's default), or you did (sealed)")
    private static let retention = Parameter<String>.optional(
        "--retention", .text("LIFE"), "24h, 30d, pinned, or seconds (the server's default is 30d)")
    private static let type = Parameter<String>.optional(
        "--type", .text("TYPE"), "the media type; guessed from the name if not given")
    private static let fresh = Parameter<Bool>.flag("--fresh", "do not go on with an upload that was interrupted")

    static let command = Command(
        name: "upload", summary: "Upload a file by tus.",
        discussion: """
            Goes on after lost connections by itself. When it was stopped, the same command goes on where the server is.
            Prints the media's id.
            """,
        parameters: [
            file.declaration, mode.declaration, retention.declaration, type.declaration, fresh.declaration,
            Output.json.declaration,
        ] + Connection.parameters
    ) { invocation, context in
        let connection = try Connection(invocation, context)
        let path = invocation[file]
        let name = String(path.split(separator: "/").last ?? "")
        let options = UploadOptions(
            filename: name, contentType: invocation[type] ?? mediaType(ofFileNamed: name), mode: invocation[mode],
            retention: invocation[retention])
        let client = try connection.media()
        let state = try UploadStates.file(for: path, at: try connection.baseURL(), token: try connection.token())
        if invocation[fresh] { try state.remove() }
        let bar = SharedProgress(ProgressBar(label: name, isShown: Terminal.errorIsTerminal))
        let start = context.loop.now
        let result = try await client.upload(path, options, state: state) { bar.update($0, of: $1) }
        bar.finish()
        let took = MonotonicClock.now() - start
        if invocation[Output.json] {
            Output.write([
                "media": .string("\(result.media)"), "size_bytes": .int(result.sizeBytes),
                "resumed_at_bytes": .int(result.resumedAtBytes), "reconnects": .int(Int64(result.reconnects)),
                "took_ms": .int(took.milliseconds),
            ])
        } else {
            let resumed = result.resumedAtBytes > 0 ? ", resumed at \(formatBytes(result.resumedAtBytes))" : ""
            Terminal.printError("\(formatBytes(result.sizeBytes)) in \(formatDuration(took))\(resumed)")
            Terminal.print("\(result.media)")
        }
    }
}

enum FetchCommand {
    private static let what = Parameter<String>.positional(
        "MEDIA", .text("MEDIA"), "an id, or a signed path from 'edgectl sign'")
    private static let output = Parameter<String>.optional(
        "--output", .path, "where to write (default: the id's first 16 digits)")
    private static let thumbnail = Parameter<Int>.optional(
        "--thumbnail", .count("WIDTH", in: 16...4096), "fetch the thumbnail of this width instead")

    static let command = Command(
        name: "fetch", summary: "Fetch a media object into a file and check its hash.",
        discussion: "Goes on with the part that an interrupted fetch left.",
        parameters: [
            what.declaration, output.declaration, thumbnail.declaration, Output.json.declaration,
        ] + Connection.parameters
    ) { invocation, context in
        let connection = try Connection(invocation, context)
        let (path, media) = try target(invocation[what], invocation.path)
        let target = invocation[output] ?? String("\(media)".prefix(16))
        let start = context.loop.now
        if let width = invocation[thumbnail] {
            let thumbnail = try await connection.media().thumbnail(media, width: width)
            try await context.pool.run { try FileSystem.replace(target, with: thumbnail.bytes) }
            report(
                invocation, target, Int64(thumbnail.bytes.count), thumbnail.contentType, MonotonicClock.now() - start)
            return
        }
        let client = MediaClient(
            baseURL: try connection.baseURL(), token: path == nil ? try connection.token() : nil,
            http: try connection.http(),
            loop: context.loop, pool: context.pool)
        let bar = SharedProgress(ProgressBar(label: target, isShown: Terminal.errorIsTerminal))
        let result = try await client.fetch(path: path ?? "/media/\(media)", expecting: media, to: target) {
            bar.update($0, of: $1)
        }
        bar.finish()
        report(invocation, target, result.sizeBytes, result.contentType, MonotonicClock.now() - start)
    }

    /// The signed path, if it is one, and the id in it.
    private static func target(_ text: String, _ path: [String]) throws -> (String?, MediaID) {
        let id = text.split(separator: "/").last.map(String.init) ?? ""
        guard let media = MediaID(id) else {
            throw UsageError(message: "'\(text)' is neither 64 hexadecimal digits nor a signed path", path: path)
        }
        return (text.hasPrefix("/s/") ? text : nil, media)
    }

    private static func report(
        _ invocation: Invocation, _ target: String, _ size: Int64, _ type: String, _ took: Duration
    ) {
        if invocation[Output.json] {
            Output.write([
                "path": .string(target), "size_bytes": .int(size), "content_type": .string(type),
                "took_ms": .int(took.milliseconds),
            ])
        } else {
            Terminal.print("\(target): \(formatBytes(size)) of \(type) in \(formatDuration(took))")
        }
    }
}

/// Where interrupted uploads are remembered: `$XDG_STATE_HOME/skerry/uploads`, or below `~/.local/state`.
enum UploadStates {
    /// One file per server, user and local file.
    static func file(for path: String, at baseURL: String, token: String) throws -> UploadStateFile {
        guard let resolved = realpath(path, nil) else {
            throw CommandFailure("\(path): \(String(cString: strerror(errno)))")
        }
        defer { free(resolved) }
        let folder =
            (environmentValue("XDG_STATE_HOME") ?? (environmentValue("HOME") ?? "/tmp") + "/.local/state")
            + "/skerry/uploads"
        try FileSystem.makeDirectory(folder)
        // The claims name who uploads; a newer token of the same user should find the upload, but its claims differ in time.
        let key = [baseURL, tokenSubject(token), String(cString: resolved)].joined(separator: "\n")
        return UploadStateFile(path: folder + "/" + Hex.encode(Digest.sha256(Array(key.utf8)).prefix(16)) + ".json")
    }

    /// Tenant, user and device, read without checking: it is only a name for a file.
    private static func tokenSubject(_ token: String) -> String {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64.decode(parts[1], .url), let claims = try? JSONValue.parse(bytes)
        else { return "" }
        return ["ten", "sub", "dev"].map { claims[$0]?.string ?? "" }.joined(separator: "/")
    }
}

/// The media type by the name's ending.
func mediaType(ofFileNamed name: String) -> String {
    switch name.split(separator: ".").last?.lowercased() {
    case "jpg", "jpeg": "image/jpeg"
    case "png": "image/png"
    case "webp": "image/webp"
    case "gif": "image/gif"
    case "heic": "image/heic"
    case "mp4", "m4v": "video/mp4"
    case "mov": "video/quicktime"
    case "webm": "video/webm"
    case "mp3": "audio/mpeg"
    case "m4a": "audio/mp4"
    case "ogg", "opus": "audio/ogg"
    case "pdf": "application/pdf"
    default: "application/octet-stream"
    }
}
