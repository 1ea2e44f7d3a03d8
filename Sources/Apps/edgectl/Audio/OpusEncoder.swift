private import COpus

/// A libopus encoder (RFC 6716): one channel at 48 kHz, tuned for voice.
final class OpusEncoder {
    /// 20 milliseconds, the packet of WebRTC.
    static let samplesPerPacket = 960

    private let encoder: OpaquePointer

    init() throws {
        var status: Int32 = OPUS_OK
        let created = opus_encoder_create(Int32(SpeechSignal.samplesPerSecond), 1, OPUS_APPLICATION_VOIP, &status)
        guard let created, status == OPUS_OK else {
            throw CommandFailure("libopus gives no encoder: \(String(cString: opus_strerror(status)))")
        }
        encoder = created
    }

    deinit { opus_encoder_destroy(encoder) }

    /// Encodes exactly `samplesPerPacket` samples into one Opus packet.
    func encode(_ samples: [Int16]) throws -> [UInt8] {
        precondition(samples.count == Self.samplesPerPacket)
        var packet = [UInt8](repeating: 0, count: 1275)
        let count = opus_encode(encoder, samples, Int32(samples.count), &packet, Int32(packet.count))
        guard count > 0 else {
            throw CommandFailure("libopus does not encode: \(String(cString: opus_strerror(count)))")
        }
        return Array(packet.prefix(Int(count)))
    }
}
