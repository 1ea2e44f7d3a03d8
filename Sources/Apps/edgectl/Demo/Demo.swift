import Base
import Client
import Runtime
import Synchronization
import Wire

/// The main job, once: media across two edges, a relayed call, messages, a status that ends.
struct Demo {
    let connection: Connection
    let folder: String
    let context: CommandContext
    let report: DemoReport

    func run() async {
        let media = DemoMedia(folder: folder, pool: context.pool)
        let photo = await report.step("make a photo") { () -> (seen: String, made: Int64) in
            let size = try await media.makePhoto()
            return ("JPEG, \(formatBytes(size))", size)
        }
        let video = await report.step("make a video with sound") { () -> (seen: String, made: Int64) in
            let size = try await media.makeVideo()
            return ("H.264 and AAC in MP4, \(formatBytes(size))", size)
        }
        await exchange(photo == nil ? nil : media.photo, video == nil ? nil : media.video)
        await call()
        await people()
    }

    // MARK: Media

    private func exchange(_ photo: String?, _ video: String?) async {
        var uploaded: [(name: String, path: String, media: MediaID)] = []
        if let photo {
            let media = await report.step("upload the photo at edge-0") { () -> (seen: String, made: MediaID) in
                let result = try await connection.media(edge: 0, user: "alice").upload(
                    photo, UploadOptions(filename: "photo.jpg", contentType: "image/jpeg"))
                return (formatBytes(result.sizeBytes), result.media)
            }
            if let media { uploaded.append(("photo", photo, media)) }
        } else {
            report.skip("upload the photo at edge-0", "there is no photo")
        }
        if let video {
            let media = await report.step("upload the video, cut in the middle") { try await cutAndResume(video) }
            if let media { uploaded.append(("video", video, media)) }
        } else {
            report.skip("upload the video, cut in the middle", "there is no video")
        }
        for item in uploaded {
            await report.step("fetch the \(item.name) at edge-1") {
                let result = try await connection.media(edge: 1, user: "alice").fetch(
                    item.media, to: item.path + ".copy")
                let original = try await context.pool.run { try FileSystem.read(item.path, limit: 1 << 30) }
                let copy = try await context.pool.run { try FileSystem.read(item.path + ".copy", limit: 1 << 30) }
                try require(original == copy, "the copy differs from the original")
                return "\(formatBytes(result.sizeBytes)), the same SHA-256: \("\(item.media)".prefix(16))…"
            }
        }
        for item in uploaded {
            await report.step("thumbnail of the \(item.name) at edge-1") {
                let thumbnail = try await connection.media(edge: 1, user: "alice").thumbnail(item.media, width: 320)
                let size = try WebPHeader(thumbnail.bytes)
                try require(thumbnail.contentType == "image/webp", "it is \(thumbnail.contentType), not image/webp")
                try require(size.width == 320, "it is \(size.width) pixels wide, not 320")
                try await context.pool.run {
                    try FileSystem.replace(item.path + ".thumbnail.webp", with: thumbnail.bytes)
                }
                return "WebP, \(size.width) by \(size.height), \(formatBytes(Int64(thumbnail.bytes.count)))"
            }
        }
    }

    /// Stops an upload halfway, and goes on with another client that knows only the state's file.
    private func cutAndResume(_ path: String) async throws -> (seen: String, made: MediaID) {
        let options = UploadOptions(filename: "video.mp4", contentType: "video/mp4")
        let state = UploadStateFile(path: path + ".upload")
        let cutAt = Mutex<Int64>(0)
        do {
            _ = try await connection.media(edge: 0, user: "alice").upload(path, options, state: state) { count, total in
                guard count > total / 2 else { return }
                cutAt.withLock { $0 = count }
                throw TransferStopped()
            }
            throw CommandFailure("the upload was not cut")
        } catch is TransferStopped {}
        let result = try await connection.media(edge: 0, user: "alice").upload(path, options, state: state)
        try require(result.resumedAtBytes > 0, "the upload began anew")
        let cut = formatBytes(cutAt.withLock { $0 })
        return (
            "\(formatBytes(result.sizeBytes)), cut at \(cut), went on at \(formatBytes(result.resumedAtBytes))",
            result.media
        )
    }

    // MARK: Calls, messages, statuses

    private func call() async {
        await report.step("call for five seconds through the relays") {
            let parties = [
                try await CallCommand.party("alice", edge: 0, pitch: 210, connection),
                try await CallCommand.party("bob", edge: 1, pitch: 120, connection),
            ]
            for party in parties { await party.messaging.start() }
            let result = try await closing(parties.map(\.messaging)) {
                try await RelayedCall(caller: parties[0], callee: parties[1], context: context).run(for: .seconds(5))
            }
            for report in [result.caller, result.callee] {
                try require(report.packetsReceived >= 245, "only \(report.packetsReceived) of 250 packets came")
                try require(report.packetsLost <= 2, "\(report.packetsLost) packets were lost")
            }
            let lost = result.caller.packetsLost + result.callee.packetsLost
            return
                "\(result.caller.packetsReceived) and \(result.callee.packetsReceived) Opus packets, \(lost) lost, round trip "
                + "\(CallCommand.text(result.caller.roundTrip(within: 0.5))), jitter \(CallCommand.text(result.caller.jitter)), "
                + "answered after \(formatDuration(result.setUp))"
        }
    }

    private func people() async {
        do {
            let alice = DemoDevice(try connection.messaging(edge: 0, user: "alice"), context.loop)
            let bob = DemoDevice(try connection.messaging(edge: 1, user: "bob"), context.loop)
            let carol = DemoDevice(try connection.messaging(edge: 0, user: "carol"), context.loop)
            try await closing([alice.client, bob.client, carol.client]) {
                await report.step("messages; bob is away at first") {
                    try await DemoMessaging(alice: alice, bob: bob).run()
                }
                await report.step("status that ends after two seconds") {
                    try await carol.connect()
                    return try await DemoStatus(
                        alice: alice, watchers: [("bob", bob), ("carol", carol)], loop: context.loop
                    ).run()
                }
            }
        } catch {
            report.skip("messages and status", "\(error)")
        }
    }

    private func closing<Value>(_ clients: [MessagingClient], _ body: () async throws -> Value) async throws -> Value {
        do {
            let value = try await body()
            for client in clients { await client.close() }
            return value
        } catch {
            for client in clients { await client.close() }
            throw error
        }
    }
}
