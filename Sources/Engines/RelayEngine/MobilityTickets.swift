import Base
import Crypto

/// Makes and reads the tickets by which a client takes its allocation to another 5-tuple (RFC 8016).
///
/// A ticket is the allocation's number, encrypted and authenticated after the construction of SIV (RFC 5297) with HMAC-SHA-256 as
/// the function: a code of 128 bits over the owner's user name and the number, and the number under a mask made of that code. It can be
/// neither made, nor read, nor used by anybody else. Base64, so that clients that keep it as a text keep all of it.
struct MobilityTickets {
    /// Characters of a ticket.
    static let characterCount = 32
    private static let codeByteCount = 16
    private static let numberByteCount = 8

    private let codeKey: HMACKey
    private let maskKey: HMACKey

    /// - Parameter key: 32 bytes.
    init(key: [UInt8]) {
        codeKey = HMACKey(.sha256, key: HMAC.sha256(key: key, Array("code".utf8)))
        maskKey = HMACKey(.sha256, key: HMAC.sha256(key: key, Array("mask".utf8)))
    }

    func ticket(for number: UInt64, of username: String) -> String {
        let code = code(number, username)
        var bytes = code
        bytes.append(bigEndian: number ^ mask(code))
        return Base64.encode(bytes, .url)
    }

    /// The allocation's number; nil unless the ticket is one of ours for this user.
    func number(in ticket: [UInt8], of username: String) -> UInt64? {
        guard ticket.count == Self.characterCount, let text = String(validating: ticket, as: UTF8.self),
            let bytes = Base64.decode(text, .url), bytes.count == Self.codeByteCount + Self.numberByteCount
        else { return nil }
        let given = Array(bytes[..<Self.codeByteCount])
        let number = bytes[Self.codeByteCount...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } ^ mask(given)
        return constantTimeEquals(given, code(number, username)) ? number : nil
    }

    private func code(_ number: UInt64, _ username: String) -> [UInt8] {
        var input: [UInt8] = []
        input.append(bigEndian: number)
        input += username.utf8
        return Array(authenticate(input, codeKey).prefix(Self.codeByteCount))
    }

    private func mask(_ code: [UInt8]) -> UInt64 {
        authenticate(code, maskKey).prefix(Self.numberByteCount).reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func authenticate(_ input: [UInt8], _ key: HMACKey) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: key.count)
        input.withUnsafeBytes { input in output.withUnsafeMutableBytes { key.authenticate(input, into: $0) } }
        return output
    }
}
