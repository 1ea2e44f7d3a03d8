import Base
import Crypto
import HTTPCodec
import JSONCodec
import MediaWorkerService
import Runtime
import Synchronization
import Testing
import Wire

@testable import MediaService

@Suite(.timeLimit(.minutes(1))) struct MediaHTTPTests {
    static let tus: HTTPFields = ["Tus-Resumable": "1.0.0"]

    static func append(at offset: Int) -> HTTPFields {
        ["Tus-Resumable": "1.0.0", "Upload-Offset": "\(offset)", "Content-Type": "application/offset+octet-stream"]
    }

    @Test func tusUploadAtOneEdgeIsFetchedAtAnother() async throws {
        let cluster = try HTTPCluster()
        let (a, b) = (try cluster.node("a"), try cluster.node("b"))
        let options = try await a.send("OPTIONS", "/media/uploads")
        #expect(options.status == 204)
        #expect(options.fields["Tus-Extension"] == "creation,creation-with-upload,termination")

        let bytes = pseudoRandom(1_000_000)
        let created = try await a.send(
            "POST", "/media/uploads", token: cluster.alice,
            fields: [
                "Tus-Resumable": "1.0.0", "Upload-Length": "\(bytes.count)",
                "Upload-Metadata": "filetype aW1hZ2UvanBlZw==",
            ])
        #expect(created.status == 201)
        let location = try #require(created.fields["Location"])
        let first = try await a.send(
            "PATCH", location, token: cluster.alice, fields: Self.append(at: 0), body: Array(bytes[..<300_001]))
        #expect(first.status == 204 && first.fields["Upload-Offset"] == "300001" && first.fields["Media-Id"] == nil)
        let head = try await a.send("HEAD", location, token: cluster.alice, fields: Self.tus)
        #expect(head.status == 200 && head.fields["Upload-Offset"] == "300001")
        #expect(head.fields["Upload-Length"] == "1000000" && head.fields["Cache-Control"] == "no-store")
        #expect(try await a.send("HEAD", location, token: cluster.bob, fields: Self.tus).status == 404)
        let wrong = try await a.send("PATCH", location, token: cluster.alice, fields: Self.append(at: 5), body: [1])
        #expect(wrong.status == 409 && wrong.fields["Tus-Resumable"] == "1.0.0")
        let last = try await a.send(
            "PATCH", location, token: cluster.alice, fields: Self.append(at: 300_001), body: Array(bytes[300_001...]))
        #expect(last.status == 204)
        let id = try #require(last.fields["Media-Id"])
        #expect(id == Hex.encode(Digest.sha256(bytes)))
        #expect(last.fields["Media-Location"] == "/media/\(id)")
        #expect(try await a.send("HEAD", location, token: cluster.alice, fields: Self.tus).fields["Media-Id"] == id)

        for node in [b, a, b] {
            let fetched = try await node.send("GET", "/media/\(id)", token: cluster.alice)
            #expect(fetched.status == 200)
            #expect(fetched.body == bytes)
            #expect(fetched.fields["ETag"] == "\"\(id)\"")
            #expect(fetched.fields["Content-Type"] == "image/jpeg")
            #expect(fetched.fields["X-Content-Type-Options"] == "nosniff")
            #expect(fetched.fields["Repr-Digest"] == "sha-256=:\(Base64.encode(Digest.sha256(bytes))):")
            #expect(fetched.fields["Cache-Control"]?.hasPrefix("private, max-age=25") == true)
        }
        let range = try await b.send(
            "GET", "/media/\(id)", token: cluster.alice, fields: ["Range": "bytes=65530-65545"])
        #expect(range.status == 206 && range.body == Array(bytes[65_530...65_545]))
        #expect(range.fields["Content-Range"] == "bytes 65530-65545/1000000")
        #expect(try await b.send("GET", "/media/\(id)", token: cluster.bob).status == 404)
        await a.stop()
        await b.stop()
    }

    @Test func rangesAndConditions() async throws {
        let cluster = try HTTPCluster()
        let node = try cluster.node("a")
        let bytes = pseudoRandom(200_000)
        for mode in ["managed", "sealed"] {
            let made = try await node.send(
                "POST", "/media/uploads?mode=\(mode)", token: cluster.alice, body: bytes + Array(mode.utf8))
            #expect(made.status == 201)
            let path = try #require(made.fields["Media-Location"])
            let whole = bytes + Array(mode.utf8)
            let tag = try #require(try await node.send("HEAD", path, token: cluster.alice).fields["ETag"])
            let head = try await node.send("HEAD", path, token: cluster.alice)
            #expect(head.fields["Content-Length"] == "\(whole.count)" && head.body.isEmpty)
            let suffix = try await node.send("GET", path, token: cluster.alice, fields: ["Range": "bytes=-7"])
            #expect(suffix.status == 206 && suffix.body == whole.suffix(7))
            let beyond = try await node.send("GET", path, token: cluster.alice, fields: ["Range": "bytes=900000-"])
            #expect(beyond.status == 416 && beyond.fields["Content-Range"] == "bytes */\(whole.count)")
            let same = try await node.send("GET", path, token: cluster.alice, fields: ["If-None-Match": tag])
            #expect(same.status == 304 && same.body.isEmpty && same.fields["ETag"] == tag)
            let stale = try await node.send(
                "GET", path, token: cluster.alice, fields: ["If-Range": "\"x\"", "Range": "bytes=0-1"])
            #expect(stale.status == 200 && stale.body == whole)
            #expect(try await node.send("GET", path, token: cluster.alice, fields: ["If-Match": "\"x\""]).status == 412)
            let several = try await node.send(
                "GET", path, token: cluster.alice, fields: ["Range": "bytes=0-9,100000-100009,-5"])
            #expect(several.status == 206)
            let boundary = try #require(several.fields["Content-Type"]?.split(separator: "=").last)
            var expected: [UInt8] = []
            let type = "application/octet-stream"
            for (index, range) in [0..<10, 100_000..<100_010, whole.count - 5..<whole.count].enumerated() {
                expected += Array("\(index == 0 ? "" : "\r\n")--\(boundary)\r\nContent-Type: \(type)\r\n".utf8)
                expected += Array(
                    "Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(whole.count)\r\n\r\n".utf8)
                expected += whole[range]
            }
            expected += Array("\r\n--\(boundary)--\r\n".utf8)
            #expect(several.body == expected)
        }
        await node.stop()
    }

    @Test func strangersGetNothing() async throws {
        let cluster = try HTTPCluster()
        let node = try cluster.node("a")
        let made = try await node.send("POST", "/media/uploads", token: cluster.alice, body: [1, 2, 3])
        let path = try #require(made.fields["Media-Location"])
        let absent = "/media/" + String(repeating: "0", count: 64)
        #expect(try await node.send("GET", path).status == 401)
        #expect(try await node.send("GET", path, token: "x.y.z").status == 401)
        #expect(try await node.send("GET", path, token: cluster.mallory).status == 403)
        let denied = try await node.send("GET", path, token: cluster.bob)
        let missing = try await node.send("GET", absent, token: cluster.bob)
        #expect(denied.status == 404 && denied.body == missing.body)
        #expect(try await node.send("GET", "/media/zz", token: cluster.bob).status == 404)
        #expect(try await node.send("GET", "/s/k.1.AAAA\(path)", token: nil).status == 404)
        // A signed path opens it, for reading alone.
        let signed = "/s/k.99999999999.\(Base64.encode([UInt8](repeating: 7, count: 32), .url))\(path)"
        #expect(try await node.send("GET", signed).body == [1, 2, 3])
        #expect(try await node.send("GET", signed, fields: ["Range": "bytes=1-1"]).body == [2])
        #expect(try await node.send("DELETE", signed).status == 405)
        let forged = "/s/k.99999999999.\(Base64.encode([UInt8](repeating: 8, count: 32), .url))\(path)"
        #expect(try await node.send("GET", forged).status == 404)
        // A grant opens it, dropping the reference closes it.
        let granted = try await node.send(
            "POST", path + "/grants", token: cluster.alice, body: Array("{\"users\":[\"bob\"]}".utf8))
        #expect(granted.status == 204)
        #expect(try await node.send("GET", path, token: cluster.bob).body == [1, 2, 3])
        #expect(try await node.send("DELETE", path, token: cluster.alice).status == 204)
        #expect(try await node.send("GET", path, token: cluster.alice).status == 404)
        #expect(
            try await node.send("POST", path + "/grants", token: cluster.bob, body: Array("{\"users\":[]}".utf8)).status
                == 400)
        // Siblings only with a certificate.
        #expect(
            try await node.send("GET", "/sibling/objects/00000000-0000-0000-0000-000000000000/manifest").status == 404)
        await node.stop()
    }

    @Test func wrongUploadsAreToldWhy() async throws {
        let cluster = try HTTPCluster()
        let node = try cluster.node("a")
        let digest = "sha-256=:\(Base64.encode(Digest.sha256([9]))):"
        let mismatch = try await node.send(
            "POST", "/media/uploads", token: cluster.alice, fields: ["Repr-Digest": digest], body: [1])
        #expect(mismatch.status == 422)
        for (digest, status) in [("sha-512=:AAAA:", 201), ("sha-512=:AAAA:, sha-256=:AAAA:", 400), ("sha-256=x", 400)] {
            let answer = try await node.send(
                "POST", "/media/uploads", token: cluster.alice, fields: ["Repr-Digest": digest], body: [1])
            #expect(answer.status == status)
        }
        #expect(
            try await node.send(
                "POST", "/media/uploads", token: cluster.alice, fields: ["Repr-Digest": digest], body: [9]
            ).status == 201)
        #expect(try await node.send("POST", "/media/uploads?mode=open", token: cluster.alice, body: [1]).status == 400)
        #expect(
            try await node.send("POST", "/media/uploads", token: cluster.alice, fields: ["Tus-Resumable": "0.2.2"])
                .status == 412)
        #expect(try await node.send("POST", "/media/uploads", token: cluster.alice, fields: Self.tus).status == 400)
        let large = try await node.send(
            "POST", "/media/uploads", token: cluster.alice,
            fields: ["Tus-Resumable": "1.0.0", "Upload-Length": "99999999999999"])
        #expect(large.status == 413 && large.fields["Tus-Max-Size"] != nil)
        let created = try await node.send(
            "POST", "/media/uploads", token: cluster.alice,
            fields: [
                "Tus-Resumable": "1.0.0", "Upload-Length": "3", "Content-Type": "application/offset+octet-stream",
            ], body: [1, 2])
        #expect(created.status == 201 && created.fields["Upload-Offset"] == "2")
        let location = try #require(created.fields["Location"])
        #expect(
            try await node.send("PATCH", location, token: cluster.alice, fields: Self.append(at: 2), body: [1, 2])
                .status == 413)
        #expect(try await node.send("PATCH", location, token: cluster.alice, fields: Self.tus, body: [1]).status == 415)
        let deleted = try await node.send(
            "POST", location, token: cluster.alice,
            fields: ["Tus-Resumable": "1.0.0", "X-HTTP-Method-Override": "DELETE"])
        #expect(deleted.status == 204)
        #expect(try await node.send("HEAD", location, token: cluster.alice, fields: Self.tus).status == 404)
        // What was refused at its creation does not count as an unfinished upload: 64 of them are allowed.
        for _ in 0..<65 {
            let tooLong = try await node.send(
                "POST", "/media/uploads", token: cluster.alice,
                fields: [
                    "Tus-Resumable": "1.0.0", "Upload-Length": "1", "Content-Type": "application/offset+octet-stream",
                ], body: [1, 2])
            #expect(tooLong.status == 413)
        }
        let empty = try await node.send(
            "POST", "/media/uploads", token: cluster.alice, fields: ["Tus-Resumable": "1.0.0", "Upload-Length": "0"])
        #expect(empty.status == 201 && empty.fields["Media-Id"] == Hex.encode(Digest.sha256([])))
        #expect(
            try await node.send("GET", try #require(empty.fields["Media-Location"]), token: cluster.alice).status == 200
        )
        await node.stop()
    }

    @Test func uploadGainsItsIdWhenTheCentralIsBack() async throws {
        let cluster = try HTTPCluster()
        let node = try cluster.node("a")
        cluster.directory.set { $0.isDown = true }
        let created = try await node.send(
            "POST", "/media/uploads", token: cluster.alice,
            fields: [
                "Tus-Resumable": "1.0.0", "Upload-Length": "2", "Content-Type": "application/offset+octet-stream",
            ], body: [1, 2])
        #expect(created.status == 201 && created.fields["Media-Id"] == nil)
        let location = try #require(created.fields["Location"])
        cluster.directory.set { $0.isDown = false }
        node.service.centralIsBack()
        var id: String?
        while id == nil {
            id = try await node.send("HEAD", location, token: cluster.alice, fields: Self.tus).fields["Media-Id"]
        }
        #expect(id == Hex.encode(Digest.sha256([1, 2])))
        await node.stop()
    }

    @Test func leasesOutliveTheCentralButNoExpiry() async throws {
        let cluster = try HTTPCluster()
        let node = try cluster.node("a")
        let made = try await node.send("POST", "/media/uploads?retention=24h", token: cluster.alice, body: [1, 2, 3])
        let path = try #require(made.fields["Media-Location"])
        cluster.directory.set { $0.leaseMilliseconds = 0 }
        #expect(try await node.send("GET", path, token: cluster.alice).status == 200)
        cluster.directory.set { $0.isDown = true }
        #expect(try await node.send("GET", path, token: cluster.alice).body == [1, 2, 3])
        #expect(try await node.send("GET", path, token: cluster.bob).status == 503)
        cluster.directory.set { $0.isClockKnown = false }
        #expect(try await node.send("GET", path, token: cluster.alice).status == 503)
        cluster.directory.set {
            $0.isClockKnown = true
            $0.time = $0.time + .seconds(86_400)
        }
        // The token is an hour's; a new one would find the media expired.
        #expect(try await node.send("GET", path, token: cluster.alice).status == 401)
        await node.stop()
    }

    @Test func purgedObjectsAreGoneFromTheDisk() async throws {
        let cluster = try HTTPCluster()
        let node = try cluster.node("a")
        let made = try await node.send("POST", "/media/uploads", token: cluster.alice, body: pseudoRandom(100_000))
        let path = try #require(made.fields["Media-Location"])
        #expect(try await node.send("GET", path, token: cluster.alice).status == 200)
        let objects = cluster.directory.state.withLock { $0.entries.values.map(\.register.object) }
        await node.service.purge(objects)
        cluster.directory.set { $0.entries = [:] }
        #expect(try await node.send("GET", path, token: cluster.alice).status == 404)
        let root = cluster.folder.path + "/a/objects"
        let files = try FileSystem.names(in: root).flatMap { try FileSystem.names(in: "\(root)/\($0)") }
        #expect(files.isEmpty)
        await node.stop()
    }

    /// Makes "thumbnails" of the first bytes of the input, refuses what begins with 0xFF.
    final class PrefixMaker: ThumbnailMaker {
        let calls = Counter()

        func webP(width: Int, of input: WorkerInput) async throws -> [UInt8] {
            calls.increment()
            let bytes = try await input.read(0, min(70, Int(input.size)))
            let tail = try await input.read(input.size - 1, 1)
            if bytes[0] == 0xFF { throw MediaWorkerError.corrupt }
            return bytes + tail
        }
    }

    @Test func thumbnailIsMadeOnceAndServedEverywhere() async throws {
        let cluster = try HTTPCluster()
        let maker = PrefixMaker()
        let (a, b) = (try cluster.node("a", maker: maker), try cluster.node("b", maker: maker))
        let bytes = [1] + pseudoRandom(150_000)
        let made = try await a.send(
            "POST", "/media/uploads", token: cluster.alice, fields: ["Content-Type": "image/jpeg"], body: bytes)
        let path = try #require(made.fields["Media-Location"])
        for node in [b, a] {
            let thumbnail = try await node.send(
                "GET", path + "/thumbnail?w=320", token: cluster.alice, fields: ["Prefer": "wait=20"])
            #expect(thumbnail.status == 200)
            #expect(thumbnail.fields["Content-Type"] == "image/webp")
            #expect(thumbnail.body == bytes[..<70] + bytes.suffix(1))
        }
        #expect(maker.calls.value == 1)
        #expect(try await a.send("GET", path + "/thumbnail?w=17", token: cluster.alice).status == 400)
        #expect(try await a.send("GET", path + "/thumbnail", token: cluster.bob).status == 404)
        let info = try JSONValue.parse(try await b.send("GET", path + "/info", token: cluster.alice).body)
        #expect(info["thumbnail"]?["state"]?.string == "ready" && info["size_bytes"]?.string == "150001")

        let broken = try await a.send(
            "POST", "/media/uploads", token: cluster.alice, fields: ["Content-Type": "image/png"], body: [0xFF, 1])
        let brokenPath = try #require(broken.fields["Media-Location"])
        for node in [b, a] {
            let answer = try await node.send(
                "GET", brokenPath + "/thumbnail", token: cluster.alice, fields: ["Prefer": "wait=20"])
            #expect(answer.status == 422)
        }
        let sealed = try await a.send(
            "POST", "/media/uploads?mode=sealed", token: cluster.alice, fields: ["Content-Type": "image/png"], body: [5]
        )
        let refused = try await a.send(
            "GET", try #require(sealed.fields["Media-Location"]) + "/thumbnail", token: cluster.alice)
        #expect(refused.status == 404)
        #expect(try JSONValue.parse(refused.body)["type"]?.string == "urn:skerry:problem:sealed-media")
        await a.stop()
        await b.stop()
    }

    @Test func thumbnailCanBeFetchedAsSoonAsItIsRegistered() async throws {
        let cluster = try HTTPCluster()
        let maker = PrefixMaker()
        let (a, b) = (try cluster.node("a", maker: maker), try cluster.node("b", maker: maker))
        let statuses = Mutex<[Int]>([])
        cluster.directory.afterRegistration.withLock {
            $0 = { media in
                guard !media.variant.isEmpty else { return }
                // Who waited for it comes before its maker has heard that it is registered.
                let answer = try? await b.send("GET", "/media/\(media.media)/thumbnail?w=320", token: cluster.alice)
                statuses.withLock { $0.append(answer?.status ?? 0) }
            }
        }
        let made = try await a.send(
            "POST", "/media/uploads", token: cluster.alice, fields: ["Content-Type": "image/jpeg"],
            body: [1] + pseudoRandom(9))
        let path = try #require(made.fields["Media-Location"])
        let answer = try await a.send(
            "GET", path + "/thumbnail?w=320", token: cluster.alice, fields: ["Prefer": "wait=20"])
        #expect(answer.status == 200)
        await a.stop()
        await b.stop()
        #expect(statuses.withLock { $0 } == [200])
        cluster.directory.afterRegistration.withLock { $0 = nil }
    }

    @Test func thumbnailThatIsNotReadySaysWhenToAskAgain() async throws {
        let cluster = try HTTPCluster()
        let node = try cluster.node("a")
        let made = try await node.send(
            "POST", "/media/uploads", token: cluster.alice, fields: ["Content-Type": "image/png"], body: [5])
        let answer = try await node.send(
            "GET", try #require(made.fields["Media-Location"]) + "/thumbnail", token: cluster.alice)
        #expect(answer.status == 503 && answer.fields["Retry-After"] != nil)
        await node.stop()
    }
}
