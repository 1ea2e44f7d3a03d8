import Base
import Client
import HTTP
import HTTPCodec
import MediaEngine
import Wire

extension FuzzTarget {
    /// Percent-encoding and queries.
    static let percentEncoding = FuzzTarget("percent-encoding") { input throws(BrokenProperty) in
        let text = String(decoding: input, as: UTF8.self)
        try holdEqual(PercentEncoding.decode(PercentEncoding.encode(text)), text, "the text that was encoded")
        try holdEqual(
            PercentEncoding.decode(PercentEncoding.encode(text), plusIsSpace: true), text, "the text that was encoded")
        if let decoded = PercentEncoding.decode(text) {
            let again = PercentEncoding.decode(PercentEncoding.encode(decoded, keeping: "/"))
            try holdEqual(again, decoded, "the text that was decoded")
        }
        let pairs = PercentEncoding.decodeQuery(text)
        let again = PercentEncoding.decodeQuery(PercentEncoding.encodeQuery(pairs))
        try hold(pairs.elementsEqual(again, by: ==), "the query \(pairs) became \(again)")
    }

    /// Addresses, names, URLs, dates, digests and session descriptions: each text that is read, written and read again.
    static let addresses = FuzzTarget("addresses") { input throws(BrokenProperty) in
        let text = String(decoding: input, as: UTF8.self)
        try check(text, IPAddress.init, \.description)
        if IPAddress(text) != nil {
            try hold(text.utf8.allSatisfy { ".:0123456789abcdefABCDEF".utf8.contains($0) }, "the IP address \(text)")
        }
        try check(text, SocketAddress.init, \.description)
        try check(text, UUID.init, \.description)
        try check(text, MediaID.init, \.description)
        try check(text, PeerAddress.init, \.description)
        try check(text, { HTTPURL($0) }, { "\($0.isSecure ? "https" : "http")://\($0.authority)\($0.target)" })
        let base = try held(HTTPURL("https://a.example:81/b/c?d"), "a URL")
        if let url = base.resolving(text).flatMap({ HTTPURL($0) }) {
            // Wherever a server leads, a path alone stays with it.
            let stays = text.hasPrefix("/") && !text.hasPrefix("//") && text.firstRange(of: "://") == nil
            try hold(!stays || url.host == base.host && url.port == base.port, "\(text) leads to \(url)")
        }
        try check(text, { HTTPDate.parse($0) }, { HTTPDate.format($0) })
        try check(text, { CallDescription(sdp: $0) }, \.sdp)
        _ = TURNServerAddress.first(in: [text])

        if let bytes = Hex.decode(text) { try holdEqual(Hex.encode(bytes), text.lowercased(), "hexadecimal") }
        for alphabet in [Base64.Alphabet.standard, .url] {
            // One spelling for each value, so that signatures and ids have a single form.
            if let bytes = Base64.decode(text, alphabet) {
                try holdEqual(Base64.encode(bytes, alphabet), text, "base64")
            }
            try holdEqual(Base64.decode(Base64.encode(input, alphabet), alphabet), input, "base64 of bytes")
        }
    }

    private static func check<Value: Equatable>(
        _ text: String, _ read: (String) -> Value?, _ write: (Value) -> String
    ) throws(BrokenProperty) {
        guard let value = read(text) else { return }
        try holdEqual(read(write(value)), value, "\(text), written as \(write(value))")
    }

    /// Range, If-Match and the other conditions of a GET; the input is their values, a line each.
    static let range = FuzzTarget("range") { input throws(BrokenProperty) in
        let lines = String(decoding: input, as: UTF8.self).split(
            separator: "\n", maxSplits: 4, omittingEmptySubsequences: false
        ).map(String.init)
        let length = lines.first.flatMap { Int64($0) }.map { max(0, min($0, 1 << 55)) } ?? 1000
        func line(_ index: Int) -> String? { index < lines.count && !lines[index].isEmpty ? lines[index] : nil }
        for field in lines {
            try checkRanges(ByteRangeSet(field: field, length: length), length)
            guard case .tags(let tags)? = EntityTag.List(field) else { continue }
            let again = EntityTag.List(tags.map(\.text).joined(separator: ", "))
            try holdEqual(again, .tags(tags), "the tags that were written")
        }
        let fields = FetchDecision.Fields(
            ifMatch: line(2), ifNoneMatch: line(3), range: line(1), ifRange: line(4))
        let decision = FetchDecision(fields, isGet: true, tag: EntityTag("abc"), length: length)
        if case .partial(let ranges) = decision { try checkRanges(.ranges(ranges), length) }
    }

    private static func checkRanges(_ set: ByteRangeSet, _ length: Int64) throws(BrokenProperty) {
        guard case .ranges(let ranges) = set else { return }
        try hold((1...ByteRangeSet.maximumRanges).contains(ranges.count), "\(ranges.count) ranges")
        for range in ranges {
            try hold(!range.isEmpty && range.lowerBound >= 0 && range.upperBound <= length, "\(range) of \(length)")
        }
        let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
        for (left, right) in zip(sorted, sorted.dropFirst()) {
            try hold(left.upperBound < right.lowerBound, "\(left) and \(right) overlap")
        }
    }

    /// What uploads say about themselves (tus), and the manifests that edges fetch from each other.
    static let media = FuzzTarget("media") { input throws(BrokenProperty) in
        let text = String(decoding: input, as: UTF8.self)
        if let metadata = try? UploadMetadata(header: text) {
            try holdEqual(metadata.header, text, "the header that is kept")
            try holdEqual(try? UploadMetadata(header: metadata.header), metadata, "the metadata")
            try hold(metadata.filename?.isEmpty != true && metadata.filetype?.isEmpty != true, "an empty name")
        }
        let creation = try? Tus.Creation(
            length: text, deferLength: nil, metadata: nil, contentType: text, maximumBytes: 1 << 40)
        if let creation { try hold((0...1 << 40).contains(creation.length), "the length \(creation.length)") }
        _ = try? Tus.appendOffset(contentType: Tus.contentType, offset: text)
        _ = MediaRetention(text)

        if let epochs = EpochRuns(encoded: input) { try holdEqual(epochs.encoded, input, "the epochs") }
        for size: Int64 in [0, 1, 65_536, 200_000] {
            let layout = ChunkLayout(size: size, mode: .managed)
            let leaves = input.suffix(layout.chunkCount * Manifest.leafBytes)
            guard leaves.count == layout.chunkCount * Manifest.leafBytes else { continue }
            let root = Manifest(leaves: Array(leaves), epochs: EpochRuns()).root
            guard let manifest = try? Manifest(encoded: input, layout: layout, root: root) else { continue }
            try holdEqual(manifest.encoded, input, "the manifest")
            _ = (0..<manifest.chunkCount).map { manifest.epochs.epoch(of: $0) }
        }
    }
}
