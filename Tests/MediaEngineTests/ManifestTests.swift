import Base
import Crypto
import Testing
import Wire

@testable import MediaEngine

@Suite struct ManifestTests {
    static func make(chunks: Int) -> (Manifest, [[UInt8]]) {
        let stored = (0..<chunks).map { randomBytes(1 + $0 % 50) }
        let leaves = stored.enumerated().flatMap { index, bytes in
            bytes.withUnsafeBytes { Manifest.leaf(chunk: index, stored: $0) }
        }
        return (Manifest(leaves: leaves, epochs: EpochRuns()), stored)
    }

    /// RFC 9162's recursive definition, with our prefixes.
    static func reference(_ leaves: [[UInt8]]) -> [UInt8] {
        if leaves.isEmpty { return Digest.sha256([]) }
        if leaves.count == 1 { return leaves[0] }
        var split = 1
        while split * 2 < leaves.count { split *= 2 }
        return Digest.sha256([1] + reference(Array(leaves[..<split])) + reference(Array(leaves[split...])))
    }

    @Test(arguments: [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100])
    func rootIsTheTreeOfTheRFC(count: Int) {
        let (manifest, _) = Self.make(chunks: count)
        #expect(manifest.root == Self.reference((0..<count).map { Array(manifest.leaf(of: $0)) }))
    }

    @Test func leafIsPrefixIndexAndBytes() {
        let leaf = [UInt8]("abc".utf8).withUnsafeBytes { Manifest.leaf(chunk: 258, stored: $0) }
        #expect(leaf == Digest.sha256([0, 0, 0, 0, 0, 0, 0, 1, 2] + Array("abc".utf8)))
    }

    @Test func chunksVerifyOnlyAtTheirPlaceAndUnchanged() {
        let (manifest, stored) = Self.make(chunks: 5)
        for (index, bytes) in stored.enumerated() {
            for place in -1...5 {
                let verified = bytes.withUnsafeBytes { manifest.verifies(chunk: place, stored: $0) }
                #expect(verified == (place == index))
            }
            var flipped = bytes
            flipped[0] ^= 1
            #expect(!flipped.withUnsafeBytes { manifest.verifies(chunk: index, stored: $0) })
            #expect(!bytes.dropLast().withUnsafeBytes { manifest.verifies(chunk: index, stored: $0) })
        }
    }

    @Test(arguments: [0, 1, 6])
    func manifestFromAnybodyIsHeldAgainstTheRoot(count: Int) throws {
        var (manifest, _) = Self.make(chunks: count)
        var epochs = EpochRuns()
        if count > 2 { _ = epochs.advance(from: 2) }
        manifest = Manifest(leaves: manifest.leaves, epochs: epochs)
        let layout = ChunkLayout(size: Int64(count) * 65_536, mode: .managed)
        let encoded = manifest.encoded
        #expect(encoded.count == manifest.encodedCount)
        #expect(encoded.count <= Manifest.maximumEncodedCount(chunks: count))
        #expect(try Manifest(encoded: encoded, layout: layout, root: manifest.root) == manifest)
        for index in 0..<encoded.count {
            var changed = encoded
            changed[index] ^= 0x10
            let other = try? Manifest(encoded: changed, layout: layout, root: manifest.root)
            // Epochs are not under the root: a wrong one is found by the chunk's seal. All else is found here.
            #expect(other == nil || other?.leaves == manifest.leaves)
        }
        for length in 0..<encoded.count {
            #expect(throws: ManifestError.malformed) {
                try Manifest(encoded: Array(encoded[..<length]), layout: layout, root: manifest.root)
            }
        }
        let taller = ChunkLayout(size: Int64(count + 1) * 65_536, mode: .managed)
        #expect(throws: ManifestError.malformed) { try Manifest(encoded: encoded, layout: taller, root: manifest.root) }
    }
}
