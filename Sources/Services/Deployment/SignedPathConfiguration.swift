package import Base
import ConfigurationFile
package import Tokens

/// A key under which media paths are signed.
package struct SignedPathConfiguration: Equatable, Sendable {
    /// `[A-Za-z0-9_-]{1,64}`, stands in the path.
    package var kid = ""
    /// Whose media it opens.
    package var tenant = Tenant.default
    /// The largest object that it opens; 0 is no limit. It is part of what is signed.
    package var maxBytes: Int64 = 0
    /// At least 32 bytes in base64 or hexadecimal, mode 0600.
    package var secretFile = ""

    package init() {}

    init(_ section: ConfigurationSection) {
        section.read(
            "kid", &kid, "1 to 64 of letters, digits, - and _", isRequired: true,
            parse: { isIdentityName($0) && !$0.utf8.contains(UInt8(ascii: ".")) ? $0 : nil })
        section.readName("tenant", &tenant, Tenant.init)
        section.read("max_bytes", &maxBytes, in: 0...(1 << 56))
        section.readPath("secret_file", &secretFile, isRequired: true)
    }

    package func load() throws -> SignedPathKey {
        let secret = try SecretFile.readSecret(secretFile)
        guard let key = SignedPathKey(id: kid, tenant: tenant, secret: secret, maxBytes: maxBytes) else {
            throw EdgeError(.invalid, "the key \(kid) for signed paths cannot be used", side: .internal)
        }
        return key
    }
}
