import Base
import Crypto
import Testing

@Suite struct DigestTests {
    @Test func `known answers`() {
        #expect(
            Hex.encode(Digest.sha256(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Hex.encode(Digest.sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(Hex.encode(Digest.md5(Array("abc".utf8))) == "900150983cd24fb0d6963f7d28e17f72")
        #expect(Digest.sha256([]).count == 32)
    }

    @Test(arguments: [0, 1, 55, 63, 64, 65, 127, 128, 1000, 100_000])
    func `a saved hash state resumes to the same hash`(split: Int) throws {
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var first = SHA256Hasher()
        first.update(Array(bytes[..<split]))
        var resumed = try #require(SHA256Hasher(state: first.state))
        resumed.update(Array(bytes[split...]))
        #expect(resumed.finalize() == Digest.sha256(bytes))
    }

    @Test func `a damaged hash state is refused`() {
        var hasher = SHA256Hasher()
        hasher.update([1, 2, 3])
        #expect(SHA256Hasher(state: []) == nil)
        #expect(SHA256Hasher(state: hasher.state.dropLast()) == nil)
        #expect(SHA256Hasher(state: [9] + hasher.state.dropFirst()) == nil)
    }
}

@Suite struct MACTests {
    @Test func `HMAC by RFC 4231 test case 2, in one shot and pre-keyed`() {
        let key = Array("Jefe".utf8)
        let message = Array("what do ya want for nothing?".utf8)
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        #expect(Hex.encode(HMAC.sha256(key: key, message)) == expected)
        let kept = HMACKey(.sha256, key: key)
        for _ in 0..<2 {
            var output = [UInt8](repeating: 0, count: 32)
            message[..<5].withUnsafeBytes { head in
                message[5...].withUnsafeBytes { tail in
                    output.withUnsafeMutableBytes { kept.authenticate(head, tail, into: $0) }
                }
            }
            #expect(Hex.encode(output) == expected)
        }
    }

    @Test func `HKDF by RFC 5869 test case 1`() throws {
        let output = HKDF.sha256(
            secret: Array(repeating: 0x0b, count: 22), salt: Array(0...0x0c), info: Array(0xf0...0xf9), count: 42)
        #expect(
            Hex.encode(output)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    }
}

@Suite struct AEADTests {
    @Test func `what was sealed opens, and nothing else does`() {
        let key = randomBytes(32)
        let nonce = randomBytes(12)
        for count in [0, 1, 16, 65_536] {
            let plaintext = randomBytes(count)
            let sealed = AES256GCM.seal(plaintext, key: key, nonce: nonce, authenticating: [7])
            #expect(sealed.count == count + 16)
            #expect(AES256GCM.open(sealed, key: key, nonce: nonce, authenticating: [7]) == plaintext)
            #expect(AES256GCM.open(sealed, key: key, nonce: nonce, authenticating: [8]) == nil)
            var flipped = sealed
            flipped[count / 2] ^= 1
            #expect(AES256GCM.open(flipped, key: key, nonce: nonce, authenticating: [7]) == nil)
        }
        #expect(AES256GCM.open([1, 2], key: key, nonce: nonce) == nil)
    }
}

@Suite struct SignatureTests {
    @Test func `each kind of key signs, travels as PEM and verifies`() throws {
        let message = Array("message".utf8)
        for key in [SigningKey.generateEd25519(), .generateP256(), try SigningKey(secret: randomBytes(32))] {
            let verifier: VerificationKey
            if let pem = key.pem, let publicPEM = key.verificationKey.pem {
                #expect(try SigningKey(pem: pem).algorithm == key.algorithm)
                verifier = try VerificationKey(pem: publicPEM)
            } else {
                verifier = key.verificationKey
            }
            for _ in 0..<50 {  // ECDSA's integers vary in length
                var signature = key.sign(message)
                #expect(signature.count == (key.algorithm == .hs256 ? 32 : 64))
                #expect(verifier.verify(signature, of: message))
                signature[5] ^= 1
                #expect(!verifier.verify(signature, of: message))
            }
            #expect(!verifier.verify([], of: message))
            #expect(!verifier.verify(Array(repeating: 0, count: 64), of: message))
        }
        #expect(throws: KeyError.malformed) { try SigningKey(pem: "no key") }
        #expect(throws: KeyError.unsupported) { try SigningKey(secret: [1, 2, 3]) }
    }
}

@Suite struct CertificateAuthorityTests {
    @Test func `an authority signs a proven request under the names that it is told`() throws {
        let now = WallTime(seconds: 1_790_000_000)
        let (certificate, key) = CertificateAuthority.generate(name: "test", now: now)
        let authority = try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
        let (request, _) = CertificateRequest.generate(commonName: "edge-1")
        let names = CertificateNames(uri: "skerry://c/eu/edge-1", dnsNames: ["localhost"], ipAddresses: [.loopbackV4])
        let issued = try authority.sign(requestPEM: request, names: names, now: now, validity: .seconds(86_400))
        #expect(issued.contains("BEGIN CERTIFICATE"))
        #expect(try certificateFingerprint(pem: certificate) == authority.fingerprint)
        #expect(throws: CertificateError.malformed) {
            try authority.sign(requestPEM: "x", names: names, now: now, validity: .seconds(1))
        }
    }
}
