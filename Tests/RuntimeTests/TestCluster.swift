import Base
import Crypto
import Runtime

/// Certificates of one test cluster, and one of another.
struct TestCluster {
    let authority: CertificateAuthority
    init() throws {
        let (certificate, key) = CertificateAuthority.generate(name: "test", now: WallClock.now())
        authority = try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
    }

    func issue(_ uri: String, dnsNames: [String] = ["localhost"]) throws -> (certificate: String, key: String) {
        let (request, key) = CertificateRequest.generate(commonName: "x")
        let names = CertificateNames(uri: uri, dnsNames: dnsNames, ipAddresses: [.loopbackV4])
        let certificate = try authority.sign(
            requestPEM: request, names: names, now: WallClock.now(), validity: .seconds(3600))
        return (certificate, key)
    }
}

extension TestCluster {
    /// A certificate for clients.
    func certificate(_ dnsNames: String...) throws -> TLSCertificate {
        let (certificate, key) = try issue("skerry://c/eu/x", dnsNames: dnsNames)
        return TLSCertificate(certificatePEM: certificate, privateKeyPEM: key)
    }
}
