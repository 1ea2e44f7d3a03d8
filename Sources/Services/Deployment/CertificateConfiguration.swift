import ConfigurationFile

/// The certificate by which the nodes of a cluster know each other.
package struct CertificateConfiguration: Equatable, Sendable {
    /// In PEM, with its chain. Its URI is `skerry://<cluster>/<region>/<name>`.
    package var certificateFile = ""
    /// In PEM, mode 0600.
    package var privateKeyFile = ""
    /// The cluster's own certificate authority, in PEM.
    package var authorityFile = ""

    /// Between two looks whether these files, or those of `tls.certificates`, are newer. SIGHUP has them read at once.
    package var reloadIntervalMs: Int64 = 10_000

    package init() {}

    init(_ section: ConfigurationSection) {
        section.readPath("certificate_file", &certificateFile, isRequired: true)
        section.readPath("private_key_file", &privateKeyFile, isRequired: true)
        section.readPath("authority_file", &authorityFile, isRequired: true)
        section.read("reload_interval_ms", &reloadIntervalMs, in: 100...86_400_000)
    }
}
