import Base
import Crypto
import JSONCodec
import Testing
import Tokens

private let now = WallTime(seconds: 1_800_000_000)

@Suite struct TokenVerifierTests {
    static let signers: [SigningKey] = [
        .generateEd25519(), .generateP256(), hmac(7),
    ]

    static func hmac(_ seed: UInt8) -> SigningKey {
        guard let key = try? SigningKey(secret: Array(repeating: seed, count: 32)) else { preconditionFailure() }
        return key
    }

    let verifier = TokenVerifier(
        keys: [
            TokenKey(id: "ed", key: signers[0].verificationKey),
            TokenKey(id: "ec", key: signers[1].verificationKey),
            TokenKey(id: "hs", key: signers[2].verificationKey),
        ], issuer: "https://chat.example")

    /// The payload of a token that is accepted, changed as asked.
    func payload(_ change: (inout JSONValue) -> Void = { _ in }) -> JSONValue {
        var payload: JSONValue = [
            "iss": "https://chat.example", "aud": "skerry", "sub": "alice", "dev": "phone", "iat": .int(now.seconds),
            "exp": .int(now.seconds + 3600), "scope": "media:read calls", "jti": "t1",
        ]
        change(&payload)
        return payload
    }

    func token(
        _ payload: JSONValue, header: JSONValue = ["alg": "EdDSA", "kid": "ed"], key: SigningKey = signers[0]
    ) -> String {
        let signed = Base64.encode(header.serialized(), .url) + "." + Base64.encode(payload.serialized(), .url)
        return signed + "." + Base64.encode(key.sign(Array(signed.utf8)), .url)
    }

    @Test(arguments: [("ed", 0), ("ec", 1), ("hs", 2)])
    func acceptsWhatTheMintMakes(_ id: String, _ signer: Int) throws {
        let tenant = try #require(Tenant("acme"))
        let owner = try #require(UserAddress(tenant: tenant, user: "alice"))
        let address = try #require(DeviceAddress(owner: owner, device: "phone"))
        let mint = TokenMint(keyID: id, key: Self.signers[signer], issuer: "https://chat.example")
        let token = mint.mint(
            for: address, scopes: ["connect", "calls"], now: now, life: .seconds(30 * 86_400), id: "x")
        let claims = try verifier.verify(token, now: now)
        #expect(claims.address == address)
        #expect(claims.scopes == ["connect", "calls"])
        #expect(claims.expires == now + .seconds(30 * 86_400))
        #expect(claims.id == "x")
        #expect(claims.allows("calls") && !claims.allows("admin"))
    }

    @Test func readsClaims() throws {
        let claims = try verifier.verify(token(payload()), now: now)
        #expect(claims.tenant == .default)
        #expect(claims.owner.user == "alice")
        let many = token(
            payload {
                $0["aud"] = ["other", "skerry"]; $0["scope"] = nil; $0["exp"] = .double(1_800_000_010.5)
            })
        #expect(try verifier.verify(many, now: now).scopes == [])
        #expect(try verifier.verify(many, now: now).expires == WallTime(milliseconds: 1_800_000_010_500))
    }

    @Test(
        arguments: [
            ("aud", nil, .missingClaim(.audience)),
            ("aud", "other", .wrongAudience),
            ("aud", "Skerry", .wrongAudience),
            ("aud", ["other"], .wrongAudience),
            ("aud", ["skerry", 1], .invalidClaim(.audience)),
            ("aud", 7, .invalidClaim(.audience)),
            ("iss", "https://other.example", .wrongIssuer),
            ("iss", nil, .wrongIssuer),
            ("iss", 1, .invalidClaim(.issuer)),
            ("sub", nil, .missingClaim(.user)),
            ("sub", "", .invalidClaim(.user)),
            ("sub", "a b", .invalidClaim(.user)),
            ("sub", "a/b", .invalidClaim(.user)),
            ("sub", "é", .invalidClaim(.user)),
            ("dev", nil, .missingClaim(.device)),
            ("dev", .string(String(repeating: "d", count: 65)), .invalidClaim(.device)),
            ("ten", "a:b", .invalidClaim(.tenant)),
            ("ten", .null, .invalidClaim(.tenant)),
            ("iat", nil, .missingClaim(.issuedAt)),
            ("iat", "1800000000", .invalidClaim(.issuedAt)),
            ("iat", -1, .invalidClaim(.issuedAt)),
            ("iat", 1_800_000_061, .notYetValid),
            ("nbf", 1_800_000_061, .notYetValid),
            ("exp", nil, .missingClaim(.expires)),
            ("exp", .null, .invalidClaim(.expires)),
            ("exp", 1e300, .invalidClaim(.expires)),
            ("exp", .int(.max), .invalidClaim(.expires)),
            ("exp", .uint(.max), .invalidClaim(.expires)),
            ("exp", 1_799_999_940, .expired),
            ("exp", 1_802_592_001, .lifeTooLong),
            ("scope", ["a"], .invalidClaim(.scope)),
            ("jti", 5, .invalidClaim(.id)),
        ] as [(String, JSONValue?, TokenError)])
    func refusesClaims(_ name: String, _ value: JSONValue?, _ error: TokenError) {
        let token = token(payload { $0[name] = value })
        #expect(throws: error) { try verifier.verify(token, now: now) }
    }

    @Test func leewayIsAMinute() throws {
        let late = token(payload { $0["exp"] = 1_799_999_941 })
        #expect(try verifier.verify(late, now: now).expires.seconds == 1_799_999_941)
        let early = token(payload { $0["iat"] = 1_800_000_060 })
        _ = try verifier.verify(early, now: now)
    }

    @Test func refusesAlgorithmsThatAreNotTheKeys() {
        func refused(_ header: JSONValue, _ key: SigningKey = Self.signers[0], _ error: TokenError) {
            let token = token(payload(), header: header, key: key)
            #expect(throws: error) { try verifier.verify(token, now: now) }
        }
        for name: JSONValue in ["none", "None", "HS256", "ES256", "eddsa", "RS256", ""] {
            refused(["alg": name, "kid": "ed"], Self.signers[0], .algorithmMismatch)
        }
        // A token under the public key's own text as HMAC secret.
        if let pem = Self.signers[1].verificationKey.pem, let confused = try? SigningKey(secret: Array(pem.utf8)) {
            refused(["alg": "HS256", "kid": "ec"], confused, .algorithmMismatch)
            refused(["alg": "ES256", "kid": "ec"], confused, .badSignature)
        } else {
            Issue.record("no public key in PEM")
        }
        refused(["alg": "HS256", "kid": "hs"], Self.hmac(8), .badSignature)
        refused(["alg": "EdDSA", "kid": "ed"], Self.signers[1], .badSignature)
        refused(["alg": "EdDSA", "kid": "no"], Self.signers[0], .unknownKey)
        refused(["alg": "EdDSA"], Self.signers[0], .keyNotNamed)
        refused(["alg": "EdDSA", "kid": 1], Self.signers[0], .malformed)
        refused(["kid": "ed"], Self.signers[0], .malformed)
        refused(["alg": "EdDSA", "kid": "ed", "crit": ["b64"], "b64": false], Self.signers[0], .criticalExtension)
    }

    @Test func needsNoNameForAnOnlyKey() throws {
        let only = TokenVerifier(keys: [TokenKey(id: "ed", key: Self.signers[0].verificationKey)], issuer: nil)
        _ = try only.verify(token(payload { $0["iss"] = nil }, header: ["alg": "EdDSA"]), now: now)
        let empty = TokenVerifier(keys: [], issuer: nil)
        #expect(throws: TokenError.unknownKey) {
            try empty.verify(token(payload(), header: ["alg": "EdDSA"]), now: now)
        }
    }

    @Test func refusesBadForms() {
        let good = token(payload())
        let parts = good.split(separator: ".").map(String.init)
        let none = Base64.encode(Array(#"{"alg":"none"}"#.utf8), .url)
        for bad in [
            "", ".", "..", "...", good + ".", "." + good, good + "=", good + " ", " " + good, "Bearer " + good,
            parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".", none + "." + parts[1] + ".",
            parts.joined(separator: ".") + "." + parts[2],
            "a+/." + parts[1] + "." + parts[2],
            Base64.encode(Array("[]".utf8), .url) + "." + parts[1] + "." + parts[2], good.dropLast(2) + "*A",
        ] {
            #expect(throws: TokenError.malformed) { try verifier.verify(bad, now: now) }
        }
        #expect(throws: TokenError.tooLong) { try verifier.verify(String(repeating: "a", count: 8193), now: now) }
        #expect(throws: TokenError.malformed) { try verifier.verify(token([1]), now: now) }
    }

    @Test func refusesEveryChangedCharacter() {
        let good = Array(token(payload()).utf8)
        for index in good.indices {
            var changed = good
            changed[index] = good[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(throws: TokenError.self) { try verifier.verify(String(decoding: changed, as: UTF8.self), now: now) }
        }
    }
}
