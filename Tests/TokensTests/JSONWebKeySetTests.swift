import Base
import Testing
import Tokens

/// The keys and messages of RFC 7515 appendix A and RFC 8037 appendix A. Their payloads are no tokens of ours: a right
/// signature shows by the refusal that comes after it.
@Suite struct JSONWebKeySetTests {
    static let keys = #"""
        {"keys":[
        {"kty":"oct","kid":"a1","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
        {"kty":"EC","crv":"P-256","kid":"a3","alg":"ES256","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
         "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
        """#

    @Test(arguments: [
        (
            "a1", TokenError.missingClaim(.audience),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        ),
        (
            "a3", TokenError.missingClaim(.audience),
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        ),
        (
            "ed", TokenError.malformed,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        ),
    ])
    func verifiesTheExamplesOfTheStandards(_ id: String, _ error: TokenError, _ message: String) throws {
        let keys = try JSONWebKeySet.parse(Array(Self.keys.utf8)).filter { $0.id == id }
        let verifier = TokenVerifier(keys: keys, issuer: nil)
        #expect(throws: error) { try verifier.verify(message, now: WallTime(seconds: 1_300_819_000)) }
        let other = message.dropLast(4) + "AAAA"
        #expect(throws: TokenError.badSignature) { try verifier.verify(String(other), now: WallTime(seconds: 0)) }
    }

    @Test(arguments: [
        #"{"kty":"oct","kid":"x","k":"c2hvcnQ"}"#,
        #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        #"{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qY"}"#,
        #"{"kty":"OKP","crv":"X25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        #"{"kty":"OKP","crv":"Ed25519","kid":"e","alg":"HS256","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        #"{"kty":"OKP","crv":"Ed25519","kid":"e","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        #"{"kty":"EC","crv":"P-256","kid":"c","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}"#,
        #"{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}"#,
        "1",
    ])
    func refusesKeysThatItCannotUse(_ key: String) {
        let set = Array("{\"keys\":[\(key)]}".utf8)
        #expect(throws: JSONWebKeySet.ParseError.badKey(index: 0)) { try JSONWebKeySet.parse(set) }
    }

    @Test func refusesWhatIsNoSet() {
        for text in ["", "[]", "{}", "{\"keys\":{}}"] {
            #expect(throws: JSONWebKeySet.ParseError.malformed) { try JSONWebKeySet.parse(Array(text.utf8)) }
        }
    }
}
