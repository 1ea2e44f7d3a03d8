import ConfigurationFile
import Runtime

/// The certificate by which the nodes of a cluster know each other.
package struct CertificateConfiguration: Equatable, Sendable {
    /// In PEM, with its chain. Its URI is `skerry://<cluster>/<region>/<name>`.
    package var certificateFile = ""
    /// In PEM, mode 0600.
    package var privateKeyFile = ""
    /// The cluster's own certificate authority, in PEM.
    package var authorityFile = ""

    package init() {}

    init(_ section: ConfigurationSection) {
        section.readPath("certificate_file", &certificateFile, isRequired: true)
        section.readPath("private_key_file", &privateKeyFile, isRequired: true)
        section.readPath("authority_file", &authorityFile, isRequired: true)
    }

    /// The three files in PEM.
    ///
    /// - Throws: `EdgeError` that names the file which is wrong.
    package func load() throws -> (certificate: String, privateKey: String, authority: String) {
        (
            try SecretFile.readPublicText(certificateFile), try SecretFile.readText(privateKeyFile),
            try SecretFile.readPublicText(authorityFile)
        )
    }
}
