import Base
import Crypto
import JSONCodec
import Tokens

extension FuzzTarget {
    private static let now = WallTime(seconds: 1_800_000_000)
    private static let secret = [UInt8](repeating: 7, count: 32)

    /// Tokens as they come, payloads and headers under a right signature, and key sets (JWT, JWS, JWK).
    static let token = FuzzTarget("token") { input throws(BrokenProperty) in
        let signing = try held("the key") { () throws(KeyError) in try SigningKey(secret: secret) }
        let key = signing.verificationKey
        let verifier = TokenVerifier(keys: [TokenKey(id: "k", key: key)], issuer: nil)
        if let claims = try? verifier.verify(String(decoding: input, as: UTF8.self), now: now) {
            try check(claims, verifier, signing)
        }
        // The signature is judged first: what is behind it is only seen under a right one.
        for signed in [#"{"alg":"HS256","kid":"k"}"#.utf8.base64URL + "." + input.base64URL, input.base64URL + ".e30"] {
            let token = signed + "." + signing.sign(Array(signed.utf8)).base64URL
            if let claims = try? verifier.verify(token, now: now) { try check(claims, verifier, signing) }
        }
        if let keys = try? JSONWebKeySet.parse(input) {
            try hold(Set(keys.map(\.id)).count == keys.count, "two keys of one name")
            for key in keys { _ = key.key.verify(secret, of: input) }
        }
    }

    private static func check(
        _ claims: Claims, _ verifier: TokenVerifier, _ signing: SigningKey
    ) throws(BrokenProperty) {
        let life = Duration.seconds(claims.expires.seconds - now.seconds)
        guard life > .zero, life <= .seconds(30 * 86_400) else { return }
        let mint = TokenMint(keyID: "k", key: signing, issuer: claims.issuer)
        let scopes = claims.scopes.sorted()
        let token = mint.mint(for: claims.address, scopes: scopes, now: now, life: life, id: claims.id)
        guard token.utf8.count <= TokenVerifier.maxBytes else { return }
        let again = try held("what was minted is refused") { () throws(TokenError) in
            try verifier.verify(token, now: now)
        }
        try hold(
            again.address == claims.address && again.scopes == claims.scopes && again.issuer == claims.issuer
                && again.id == claims.id && again.expires.seconds == claims.expires.seconds, "other claims were minted")
    }

    /// Signed paths.
    static let signedPath = FuzzTarget("signed-path") { input throws(BrokenProperty) in
        let path = String(decoding: input, as: UTF8.self)
        guard let (signed, remainder) = SignedPath.parse(path), let tenant = Tenant("acme") else { return }
        try hold(remainder.isEmpty || remainder.hasPrefix("/"), "the remainder \(remainder)")
        guard let key = SignedPathKey(id: signed.keyID, tenant: tenant, secret: secret, maxBytes: 1000) else { return }
        // Nobody but the fuzzer's own seeds knows the secret.
        if let access = try? signed.verify([key], now: now) {
            try hold(access.media == signed.media && access.expires > now, "access to something else")
        }
        let expires = WallTime(seconds: signed.expiresAtSeconds)
        guard expires.seconds == signed.expiresAtSeconds else { return }
        let minted = SignedPath.mint(media: signed.media, key: key, expires: expires)
        let again = try held(SignedPath.parse(minted + remainder), "what was minted is refused")
        try hold(again.remainder == remainder && again.signed.media == signed.media, "another path was minted")
        if expires > now {
            let access = try held("what was minted does not open") { () throws(SignedPathError) in
                try again.signed.verify([key], now: now)
            }
            try hold(access.expires == expires && access.media == signed.media, "another access")
        }
    }
}

extension Collection<UInt8> {
    fileprivate var base64URL: String { Base64.encode(self, .url) }
}
