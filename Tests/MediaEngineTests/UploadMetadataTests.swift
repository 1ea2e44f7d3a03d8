import Base
import Testing
import Wire

@testable import MediaEngine

@Suite struct UploadMetadataTests {
    static func header(_ pairs: [(String, String)]) -> String {
        pairs.map { "\($0.0) \(Base64.encode(Array($0.1.utf8)))" }.joined(separator: ",")
    }

    @Test func knownKeysAreRead() throws {
        let digest = String(repeating: "aB", count: 32)
        let metadata = try UploadMetadata(
            header: Self.header([
                ("filename", "kätzchen.jpg"), ("filetype", "image/jpeg"), ("mode", "sealed"), ("retention", "24h"),
                ("sha256", digest), ("album", "x"),
            ]) + ",is_private")
        #expect(metadata.filename == "kätzchen.jpg")
        #expect(metadata.filetype == "image/jpeg")
        #expect(metadata.mode == .sealed)
        #expect(metadata.retention == .seconds(86_400))
        #expect(metadata.sha256?.description == digest.lowercased())
    }

    @Test func defaultsAreManagedForThirtyDays() throws {
        let metadata = try UploadMetadata(header: "")
        #expect(metadata.mode == .managed && metadata.retention == .seconds(2_592_000) && metadata.sha256 == nil)
    }

    static let wrong: [(String, UploadMetadataError)] = [
        ("filename !", .malformed), ("a b c", .malformed), ("filename YQ==,filename YQ==", .malformed),
        (header([("mode", "open")]), .badMode), (header([("retention", "never")]), .badRetention),
        (header([("retention", "0")]), .badRetention), (header([("retention", "-5")]), .badRetention),
        (header([("retention", "999999999999")]), .badRetention), (header([("sha256", "12")]), .badDigest),
        (header([("filename", "a\r\nb")]), .badFilename), (header([("filetype", "é")]), .badFiletype),
        ("x " + String(repeating: "A", count: 5000), .tooLong),
    ]

    @Test(arguments: wrong)
    func wrongOnesAreRefused(header: String, error: UploadMetadataError) {
        #expect(throws: error) { try UploadMetadata(header: header) }
    }

    static let retentions: [(String, MediaRetention?)] = [
        ("24h", .seconds(86_400)), ("30d", .seconds(2_592_000)), ("pinned", .pinned), ("1", .seconds(1)),
        ("31622400", .seconds(31_622_400)), ("31622401", nil), ("+5", nil), ("5s", nil), ("", nil),
    ]

    @Test(arguments: retentions)
    func retention(text: String, expected: MediaRetention?) {
        #expect(MediaRetention(text) == expected)
    }
}

@Suite struct TusTests {
    @Test func creation() throws {
        let creation = try Tus.Creation(
            length: "100", deferLength: nil, metadata: nil, contentType: "application/offset+octet-stream",
            maximumBytes: 100)
        #expect(creation.length == 100 && creation.carriesBytes)
        #expect(throws: TusError.tooLarge(maximumBytes: 99)) {
            try Tus.Creation(length: "100", deferLength: nil, metadata: nil, contentType: nil, maximumBytes: 99)
        }
        #expect(throws: TusError.deferredLength) {
            try Tus.Creation(length: nil, deferLength: "1", metadata: nil, contentType: nil, maximumBytes: 99)
        }
        for length in [nil, "", "-1", "+1", "1.0", "999999999999999999999"] {
            #expect(throws: TusError.badLength) {
                try Tus.Creation(length: length, deferLength: nil, metadata: nil, contentType: nil, maximumBytes: 99)
            }
        }
    }

    @Test func append() throws {
        #expect(try Tus.appendOffset(contentType: "application/offset+octet-stream", offset: "0") == 0)
        #expect(throws: TusError.badContentType) { try Tus.appendOffset(contentType: "text/plain", offset: "0") }
        #expect(throws: TusError.badOffset) { try Tus.appendOffset(contentType: Tus.contentType, offset: nil) }
    }
}

@Suite struct ServedTypeTests {
    @Test(arguments: [
        ("image/jpeg", true), ("IMAGE/PNG ; x=y", true), ("video/mp4", true), ("text/html", false),
        ("image/svg+xml", false), ("application/pdf", false), ("", false), ("image/jpeg\r\nX: y", false),
    ])
    func onlyHarmlessTypesAreInline(declared: String, isInline: Bool) {
        let type = ServedType(declared: declared, mode: .managed)
        #expect(type.isInline == isInline)
        if !isInline { #expect(type.contentType == "application/octet-stream") }
        #expect(ServedType(declared: declared, mode: .sealed) == .bytes)
    }

    @Test func dispositionNamesTheFileSafely() {
        let type = ServedType(declared: "image/png", mode: .managed)
        #expect(type.disposition(filename: "a b.png") == "inline; filename=\"a b.png\"")
        #expect(type.disposition(filename: "../../x\".png") == "inline; filename*=UTF-8''x%22.png")
        #expect(ServedType.bytes.disposition(filename: "ü") == "attachment; filename*=UTF-8''%C3%BC")
        #expect(ServedType.bytes.disposition(filename: nil) == "attachment")
    }
}
