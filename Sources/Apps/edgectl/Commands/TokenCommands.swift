import Base
import Client
import Crypto
import JSONCodec
import Runtime
import Tokens

enum TokenCommand {
    static let allScopes = ["media:read", "media:write", "calls", "connect", "status"]

    private static let user = Parameter<String>.required("--user", .text("USER"), "who: 1 to 64 of A-Z a-z 0-9 . _ -")
    private static let device = Parameter<String>.option(
        "--device", .text("DEVICE"), "which of the user's devices", default: "phone", shownAs: "phone")
    private static let tenant = Parameter<String>.option(
        "--tenant", .text("TENANT"), "whose users", default: "default", shownAs: "default")
    private static let scopes = Parameter<String>.option(
        "--scopes", .text("SCOPES"), "separated by spaces or commas; 'admin' is for backends",
        default: allScopes.joined(separator: ","), shownAs: allScopes.joined(separator: ","))
    private static let key = Parameter<String>.optional(
        "--signing-key", .path, "Ed25519 or P-256 private key in PEM (default: the development start's)")
    private static let keyID = Parameter<String>.option(
        "--key-id", .text("KID"), "name of the key in the configuration", default: DevelopmentKeys.signingKeyID,
        shownAs: DevelopmentKeys.signingKeyID)
    private static let issuer = Parameter<String>.optional(
        "--issuer", .text("ISS"), "the issuer that the configuration expects")
    private static let life = Parameter<Duration>.option(
        "--ttl", .duration, "how long it is good for, at most 30d", default: .seconds(86_400), shownAs: "24h")

    static let command = Command(
        name: "token", summary: "Make a token (JWT) for a user's device.",
        discussion: "An operator's backend makes them itself; this is for development and for tests.",
        parameters: [
            user.declaration, device.declaration, tenant.declaration, scopes.declaration, key.declaration,
            keyID.declaration,
            issuer.declaration, life.declaration, Connection.dev.declaration, Output.json.declaration,
        ]
    ) { invocation, context in
        guard let tenant = Tenant(invocation[tenant]),
            let owner = UserAddress(tenant: tenant, user: invocation[user]),
            let address = DeviceAddress(owner: owner, device: invocation[device])
        else {
            throw UsageError(message: "user, device and tenant are 1 to 64 of A-Z a-z 0-9 . _ -", path: invocation.path)
        }
        guard invocation[life] > .zero, invocation[life] <= .seconds(30 * 86_400) else {
            throw UsageError(message: "--ttl is more than nothing and at most 30d", path: invocation.path)
        }
        let path: String
        if let given = invocation[key] {
            path = given
        } else if let development = try Connection.developmentFile(invocation) {
            path = development.signingKeyPath
        } else {
            throw CommandFailure("no key: give --signing-key, or --dev")
        }
        let mint = TokenMint(keyID: invocation[keyID], key: try readSigningKey(path), issuer: invocation[issuer])
        let now = WallClock.now()
        let token = mint.mint(
            for: address, scopes: invocation[scopes].split(whereSeparator: { $0 == " " || $0 == "," }).map(String.init),
            now: now, life: invocation[life], id: "\(UUID.v7(at: now))")
        if invocation[Output.json] {
            Output.write([
                "token": .string(token), "expires_at_ms": .int((now + invocation[life]).milliseconds),
            ])
        } else {
            Terminal.print(token)
        }
    }

    static func readSigningKey(_ path: String) throws -> SigningKey {
        let pem = String(decoding: try FileSystem.read(path, limit: 64 * 1024), as: UTF8.self)
        do {
            return try SigningKey(pem: pem)
        } catch {
            throw CommandFailure("\(path) has no Ed25519 or P-256 private key in PEM")
        }
    }
}

enum SignCommand {
    private static let media = Parameter<MediaID>.positional("MEDIA", .media, "the id to sign a path for")
    private static let key = Parameter<String>.optional(
        "--key-file", .path, "the secret's file, in hexadecimal (default: the development start's)")
    private static let keyID = Parameter<String>.option(
        "--key-id", .text("KID"), "name of the key in the configuration", default: DevelopmentKeys.signedPathKeyID,
        shownAs: DevelopmentKeys.signedPathKeyID)
    private static let tenant = Parameter<String>.option(
        "--tenant", .text("TENANT"), "the key's tenant in the configuration", default: "default", shownAs: "default")
    private static let maxBytes = Parameter<Int>.option(
        "--max-bytes", .count("BYTES", in: 0...Int.max), "the key's limit in the configuration, 0 for none", default: 0,
        shownAs: "0")
    private static let life = Parameter<Duration>.option(
        "--ttl", .duration, "how long the path is good for", default: .seconds(3600), shownAs: "1h")

    static let command = Command(
        name: "sign", summary: "Make a signed path, by which a media object is fetched without a token.",
        parameters: [
            media.declaration, key.declaration, keyID.declaration, tenant.declaration, maxBytes.declaration,
            life.declaration,
            Connection.dev.declaration, Output.json.declaration,
        ]
    ) { invocation, context in
        let path: String
        if let given = invocation[key] {
            path = given
        } else if let development = try Connection.developmentFile(invocation) {
            path = DevelopmentKeys.signedPathKeyPath(beside: development.signingKeyPath)
        } else {
            throw CommandFailure("no key: give --key-file, or --dev")
        }
        let text = String(decoding: try FileSystem.read(path, limit: 4096), as: UTF8.self)
        guard let secret = Hex.decode(text.filter { !$0.isWhitespace }), let tenant = Tenant(invocation[tenant]),
            let key = SignedPathKey(
                id: invocation[keyID], tenant: tenant, secret: secret, maxBytes: Int64(invocation[maxBytes]))
        else {
            throw CommandFailure(
                "the key's name or tenant has a wrong form, or \(path) has not 32 bytes or more in hexadecimal")
        }
        let expires = WallClock.now() + invocation[life]
        let signed = SignedPath.mint(media: invocation[media], key: key, expires: expires)
        if invocation[Output.json] {
            Output.write(["path": .string(signed), "expires_at_ms": .int(expires.seconds * 1000)])
        } else {
            Terminal.print(signed)
        }
    }
}
