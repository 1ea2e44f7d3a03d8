import Base
import BenchmarkSupport
import Crypto
import Glibc
import Runtime

/// What the servers serve, and whom they say they are.
enum Fixtures {
    static let files = [("16k", 16 * 1024), ("1m", 1 << 20), ("50m", 50 << 20)]

    /// Makes `www`, `certificate.pem` (ECDSA P-256) and `key.pem`.
    static func make(in directory: String) throws {
        guard mkdir("\(directory)/www", 0o755) == 0 else { throw BenchError("no folder for the files") }
        for (name, count) in files {
            let block = String(repeating: "0123456789abcdef", count: 1024)
            try write(String(repeating: block, count: count / block.utf8.count), to: "\(directory)/www/\(name)")
        }
        let now = WallClock.now()
        let made = CertificateAuthority.generate(name: "bench", now: now)
        let authority = try CertificateAuthority(
            certificatePEM: made.certificatePEM, privateKeyPEM: made.privateKeyPEM)
        let (request, key) = CertificateRequest.generate(commonName: "bench")
        let certificate = try authority.sign(
            requestPEM: request,
            names: CertificateNames(uri: "skerry://bench", dnsNames: ["localhost"], ipAddresses: [.loopbackV4]),
            now: now, validity: .seconds(86_400))
        try write(certificate, to: "\(directory)/certificate.pem")
        try write(key, to: "\(directory)/key.pem")
    }
}
