import Base
import Crypto
import Runtime
import Tokens

/// Where everything of a development start lies. Made at the first start; later ones go on with it.
struct DevelopmentFolder: Equatable, Sendable {
    /// Absolute.
    let path: String

    var file: String { path + "/" + DevelopmentFile.name }
    var keys: String { path + "/keys" }
    var authorityCertificate: String { keys + "/ca.pem" }
    var authorityKey: String { keys + "/ca.key" }
    var signingKey: String { keys + "/signing.pem" }
    var verificationKey: String { keys + "/signing.pub.pem" }
    var signedPathKey: String { DevelopmentKeys.signedPathKeyPath(beside: signingKey) }
    var relaySecret: String { keys + "/relay.secret" }
    var rootKey: String { keys + "/root.key" }
    var enrolmentDatabase: String { path + "/central/enrolment.db" }
    var routerDatabase: String { path + "/central/router.db" }

    func certificate(of node: String) -> String { "\(keys)/\(node).pem" }
    func privateKey(of node: String) -> String { "\(keys)/\(node).key" }
    func configuration(of node: String) -> String { "\(path)/config/\(node).yaml" }
    func log(of node: String) -> String { "\(path)/logs/\(node).log" }
    func socket(of node: String) -> String { "\(path)/run/\(node).sock" }
    func media(of node: String) -> String { "\(path)/\(node)/media" }

    /// Makes the folders and the keys that are missing.
    func prepare(now: WallTime) throws {
        for folder in ["keys", "config", "logs", "run", "central"] { try FileSystem.makeDirectory(path + "/" + folder) }
        if !FileSystem.exists(authorityKey) {
            let authority = CertificateAuthority.generate(name: "skerry development", now: now)
            try write(authority.certificatePEM, to: authorityCertificate)
            try write(authority.privateKeyPEM, to: authorityKey)
        }
        let publicName = DevelopmentConfiguration.publicName
        if !FileSystem.exists(certificate(of: publicName)) {
            let uri = "skerry://\(DevelopmentConfiguration.cluster)/\(DevelopmentConfiguration.region)/\(publicName)"
            try issue(node: publicName, uri: uri, now: now)
        }
        if !FileSystem.exists(signingKey) {
            let key = SigningKey.generateEd25519()
            guard let secret = key.pem, let open = key.verificationKey.pem else {
                preconditionFailure("Ed25519 keys have PEM")
            }
            try write(open, to: verificationKey)
            try write(secret, to: signingKey)
        }
        for path in [signedPathKey, relaySecret] where !FileSystem.exists(path) {
            try write(Hex.encode(randomBytes(32)) + "\n", to: path)
        }
    }

    /// Signs a certificate with the authority itself, as the first central's must be, and the one that clients are shown.
    func issue(node: String, uri: String, now: WallTime) throws {
        let authority = try CertificateAuthority(
            certificatePEM: try text(authorityCertificate), privateKeyPEM: try text(authorityKey))
        let request = CertificateRequest.generate(commonName: node)
        let names = CertificateNames(uri: uri, dnsNames: ["localhost"], ipAddresses: [.loopbackV4, .loopbackV6])
        let certificate = try authority.sign(
            requestPEM: request.requestPEM, names: names, now: now, validity: .seconds(365 * 86_400))
        try keep(node: node, certificatePEM: certificate, privateKeyPEM: request.privateKeyPEM)
    }

    func keep(node: String, certificatePEM: String, privateKeyPEM: String) throws {
        try write(privateKeyPEM, to: privateKey(of: node))
        try write(certificatePEM, to: certificate(of: node))
    }

    func text(_ path: String) throws -> String { String(decoding: try FileSystem.read(path), as: UTF8.self) }

    func write(_ text: String, to path: String) throws { try FileSystem.replace(path, with: Array(text.utf8)) }

    /// Tokens of the users that every development start knows, good for a day.
    func makeTokens(now: WallTime) throws -> [(user: String, token: String)] {
        let mint = TokenMint(
            keyID: DevelopmentKeys.signingKeyID, key: try TokenCommand.readSigningKey(signingKey), issuer: nil)
        return ["alice", "bob", "carol", "admin"].map { user in
            guard let owner = UserAddress(tenant: .default, user: user),
                let address = DeviceAddress(owner: owner, device: user == "admin" ? "backend" : "phone")
            else { preconditionFailure("these names are good") }
            let scopes = user == "admin" ? ["admin"] : TokenCommand.allScopes
            return (
                user,
                mint.mint(for: address, scopes: scopes, now: now, life: .seconds(86_400), id: "\(UUID.v7(at: now))")
            )
        }
    }
}
