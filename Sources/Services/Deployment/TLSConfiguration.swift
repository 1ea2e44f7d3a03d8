import ConfigurationFile

/// TLS of a public port.
package struct TLSConfiguration: Equatable, Sendable {
    package struct Certificate: Equatable, Sendable {
        /// In PEM, with its chain.
        package var certificateFile = ""
        /// In PEM, mode 0600.
        package var privateKeyFile = ""

        package init() {}
    }

    /// What clients are shown, by the name that they ask for (SNI); the first is for every other name. Empty for the node's own.
    package var certificates: [Certificate] = []
    /// How long a key seals session tickets, and how long a ticket is good.
    package var ticketKeyRotationMs: Int64 = 43_200_000

    package init() {}

    mutating func read(_ section: ConfigurationSection) {
        certificates = section.list("certificates", maxCount: 64) { section in
            var certificate = Certificate()
            section.readPath("certificate_file", &certificate.certificateFile, isRequired: true)
            section.readPath("private_key_file", &certificate.privateKeyFile, isRequired: true)
            return certificate
        }
        section.read("ticket_key_rotation_ms", &ticketKeyRotationMs, in: 60_000...604_800_000)
    }
}
