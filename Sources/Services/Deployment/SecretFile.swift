import Base
import Runtime

/// Files that hold keys. They belong to the service's user alone.
package enum SecretFile {
    /// - Throws: `EdgeError` that names the file, never its content.
    package static func read(_ path: String, limit: Int = 1 << 16) throws -> [UInt8] {
        do {
            let mode = try FileSystem.mode(of: path)
            guard mode & 0o077 == 0 else {
                let octal = String(mode, radix: 8)
                throw EdgeError(
                    .invalid, "\(path) has mode \(octal) and can be read by others; chmod 600 it", side: .internal)
            }
            return try FileSystem.read(path, limit: limit)
        } catch let error as SystemError {
            throw EdgeError(.io, "\(path) cannot be read", side: .internal, cause: error)
        }
    }

    /// A secret of at least 32 bytes: base64 in one line as it is written by `openssl rand -base64 32`, or hexadecimal.
    package static func readSecret(_ path: String) throws -> [UInt8] {
        let text = String(decoding: try read(path), as: UTF8.self).filter { !$0.isWhitespace }
        guard let secret = Hex.decode(text) ?? Base64.decode(text) ?? Base64.decode(text, .url), secret.count >= 32
        else {
            throw EdgeError(.invalid, "\(path) has to hold at least 32 bytes in base64 or hexadecimal", side: .internal)
        }
        return secret
    }

    /// A key of one of these sizes in bytes, in base64 or hexadecimal.
    package static func readKey(_ path: String, sizes: [Int]) throws -> [UInt8] {
        let text = String(decoding: try read(path), as: UTF8.self).filter { !$0.isWhitespace }
        for key in [Hex.decode(text), Base64.decode(text), Base64.decode(text, .url)] {
            if let key, sizes.contains(key.count) { return key }
        }
        let allowed = sizes.map { "\($0)" }.joined(separator: " or ")
        throw EdgeError(
            .invalid, "\(path) has to hold \(allowed) bytes in base64 or hexadecimal", side: .internal)
    }

    /// A secret that others share as text, so that its characters are the key: at least 16 bytes, without the line's end.
    package static func readPassphrase(_ path: String) throws -> [UInt8] {
        var secret = try read(path)
        while let last = secret.last, [0x0A, 0x0D, 0x20].contains(last) { secret.removeLast() }
        guard secret.count >= 16 else {
            throw EdgeError(.invalid, "\(path) has to hold a text of at least 16 bytes", side: .internal)
        }
        return secret
    }

    /// A secret in text form, such as a private key in PEM.
    package static func readText(_ path: String, limit: Int = 1 << 16) throws -> String {
        try text(try read(path, limit: limit), path)
    }

    /// What may be read by others, such as a certificate.
    package static func readPublicText(_ path: String) throws -> String {
        do {
            return try text(try FileSystem.read(path), path)
        } catch let error as SystemError {
            throw EdgeError(.io, "\(path) cannot be read", side: .internal, cause: error)
        }
    }

    private static func text(_ bytes: [UInt8], _ path: String) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw EdgeError(.invalid, "\(path) is no text", side: .internal)
        }
        return text
    }
}
