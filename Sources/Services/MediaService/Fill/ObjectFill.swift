import Base
import MediaEngine
import Runtime
import Wire

/// Fetches one object from the siblings that hold it, one after the other until it is whole.
struct ObjectFill: Sendable {
    let target: StoredObject
    let manifestRoot: [UInt8]
    let holders: [EdgeDescription]
    let transport: any SiblingTransport
    let disk: Disk

    /// Returns when every chunk is verified and durable.
    ///
    /// - Throws: the last holder's error when none could complete it.
    func run() async throws {
        var last = EdgeError(
            .unavailable, "no edge that holds the object can be reached", side: .upstream, isRetryable: true)
        for holder in holders {
            do {
                try await fetch(from: holder)
                return
            } catch let error as EdgeError where error.side == .internal {
                throw error
            } catch {
                last = EdgeError(
                    .unavailable, "an edge that holds the object failed", side: .upstream, isRetryable: true,
                    cause: error)
            }
        }
        throw last
    }

    private func fetch(from holder: EdgeDescription) async throws {
        let layout = target.layout
        if target.manifest == nil {
            let encoded = try await transport.manifest(
                of: target.object, at: holder, limit: Manifest.maximumEncodedCount(chunks: layout.chunkCount))
            let manifest = try Manifest(encoded: encoded, layout: layout, root: manifestRoot)
            try await disk.run { [target] in
                try target.file.write(encoded, at: layout.storedBytes)
            }
            target.begin(manifest)
        }
        while let batch = target.nextBatch() {
            if let failure = target.failure { throw failure }
            try await fetch(batch, from: holder)
        }
        try await disk.run { [target] in try target.file.synchronize() }
    }

    private func fetch(_ batch: Range<Int>, from holder: EdgeDescription) async throws {
        let layout = target.layout
        var waiting: [UInt8] = []
        var next = batch.lowerBound
        try await transport.chunks(of: target.object, batch, at: holder) { bytes in
            // More than was asked for is not collected.
            guard next < batch.upperBound || bytes.isEmpty else { throw Self.wrongLength }
            waiting += bytes
            var end = next
            var size = 0
            while end < batch.upperBound, size + layout.storedCount(of: end) <= waiting.count {
                size += layout.storedCount(of: end)
                end += 1
            }
            guard end > next else { return }
            let whole = Array(waiting[..<size])
            waiting.removeFirst(size)
            try await take(whole, next..<end)
            next = end
        }
        guard next == batch.upperBound, waiting.isEmpty else {
            throw Self.wrongLength
        }
    }

    private static var wrongLength: EdgeError {
        EdgeError(.corrupt, "a sibling's answer has the wrong length", side: .upstream, isRetryable: true)
    }

    /// Verifies, writes, and then lets readers have them.
    private func take(_ stored: [UInt8], _ chunks: Range<Int>) async throws {
        guard let manifest = target.manifest else { return }
        try await disk.run { [target] in
            let layout = target.layout
            let isGenuine = stored.withUnsafeBytes { bytes in
                var position = 0
                return chunks.allSatisfy { chunk in
                    let size = layout.storedCount(of: chunk)
                    defer { position += size }
                    return manifest.verifies(
                        chunk: chunk, stored: UnsafeRawBufferPointer(rebasing: bytes[position..<position + size]))
                }
            }
            guard isGenuine else {
                throw EdgeError(.corrupt, "a sibling sent bytes that are not the object's", side: .upstream)
            }
            try target.file.write(stored, at: layout.storedOffset(of: chunks.lowerBound))
        }
        target.filled(chunks)
    }
}
