package import Runtime

/// The certificates of a node as its files have them.
package struct Certificates: Sendable {
    /// By which the nodes of the cluster know it.
    package let own: TLSCertificate
    package let authorityPEM: String
    /// For clients.
    package let named: [TLSCertificate]
    /// Those, or where there are none, the node's own.
    package var forClients: [TLSCertificate] { named.isEmpty ? [own] : named }

    /// - Throws: `EdgeError` that names the file which is wrong.
    package static func load(
        _ own: CertificateConfiguration, _ named: [TLSConfiguration.Certificate] = []
    ) throws -> Certificates {
        Certificates(
            own: try load(own.certificateFile, own.privateKeyFile),
            authorityPEM: try SecretFile.readPublicText(own.authorityFile),
            named: try named.map { try load($0.certificateFile, $0.privateKeyFile) })
    }

    private static func load(_ certificateFile: String, _ privateKeyFile: String) throws -> TLSCertificate {
        TLSCertificate(
            certificatePEM: try SecretFile.readPublicText(certificateFile),
            privateKeyPEM: try SecretFile.readText(privateKeyFile))
    }
}
