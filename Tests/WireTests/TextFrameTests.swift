import Base
import Testing
import Wire

@Suite struct TextFrameTests {
    private let id = UUID("01890a5d-ac96-774b-bcce-b302099a8057")!

    @Test func theFormIsTheContracts() throws {
        let send = ClientFrame.send(
            .init(id: id, to: .user("bob"), messageClass: .message, payload: [1, 2, 3, 4], expiresInSeconds: 60))
        #expect(
            send.json
                == #"{"type":"send","id":"01890a5d-ac96-774b-bcce-b302099a8057","to":"bob","class":"message","payload":"AQIDBA==","expires_in_s":"60"}"#
        )
        let welcome = ServerFrame.welcome(
            .init(
                device: .device(user: "alice", device: "phone"), resumeToken: "t", resumed: false, credit: 64,
                serverTime: WallTime(milliseconds: 1_700_000_000_000)))
        #expect(
            welcome.json
                == #"{"type":"welcome","device":"alice/phone","resume_token":"t","resumed":false,"credit":64,"server_time_ms":"1700000000000"}"#
        )
        #expect(ServerFrame.drained.json == #"{"type":"drained"}"#)
    }

    @Test func numbersComeAsNumbersOrStrings() throws {
        #expect(try ClientFrame(json: #"{"type":"ack","seq":5}"#) == .ack(sequence: 5))
        #expect(try ClientFrame(json: #"{"type":"ack","seq":"18446744073709551615"}"#) == .ack(sequence: .max))
        #expect(try ClientFrame(json: #"{"seq":5.0,"more":{"x":[1]},"type":"ack"}"#) == .ack(sequence: 5))
        for wrong in ["-1", "1.5", "\"x\"", "\"\"", "true", "[]", "1e30"] {
            #expect(throws: WireError.invalid(field: "seq", expected: "an integer that is not negative")) {
                try ClientFrame(json: #"{"type":"ack","seq":\#(wrong)}"#)
            }
        }
    }

    @Test func anUnknownTypeNamesTheAllowedOnes() throws {
        #expect {
            try ClientFrame(json: #"{"type":"group.create"}"#)
        } throws: { error in
            "\(error)".contains("group.create") && "\(error)".contains("hello, send, ack, status.post")
        }
        #expect {
            try ClientFrame(json: #"{"type":"\#(String(repeating: "x", count: 900))"}"#)
        } throws: { error in
            "\(error)".utf8.count < 250
        }
    }

    @Test(arguments: ["", "{}x", "[]", "7", "null", "{\"type\":", "{\"type\":\"ack\",\"type\":\"ack\"}"])
    func whatIsNoObjectIsMalformed(text: String) {
        #expect(throws: WireError.malformed) { try ClientFrame(json: text) }
    }

    @Test func missingAndWrongFieldsAreNamed() {
        let cases: [(String, WireError)] = [
            (#"{}"#, .missing(field: "type")),
            (#"{"type":"ack"}"#, .missing(field: "seq")),
            (#"{"type":"ack","seq":null}"#, .missing(field: "seq")),
            (#"{"type":"send","to":"bob","class":"message","payload":""}"#, .missing(field: "id")),
            (
                #"{"type":"send","id":"\#(id)","to":"b b","class":"message","payload":""}"#,
                .invalid(field: "to", expected: "user, user/device or group:<id>")
            ),
            (
                #"{"type":"send","id":"\#(id)","to":"bob","class":"loud","payload":""}"#,
                .invalid(field: "class", expected: "call, message, receipt, ephemeral")
            ),
            (
                #"{"type":"send","id":"\#(id)","to":"bob","class":"message","payload":"@"}"#,
                .invalid(field: "payload", expected: "base64")
            ),
            (
                #"{"type":"send","id":"\#(id)","to":"bob","class":"message","payload":"","expires_in_s":-1}"#,
                .invalid(field: "expires_in_s", expected: "an integer from 0 to \(WireLimits.maxExpirySeconds)")
            ),
            (#"{"type":"status.list","id":"1"}"#, .invalid(field: "id", expected: "a UUID")),
            (
                #"{"type":"status.post","id":"\#(id)","audience":["bob",7]}"#,
                .invalid(field: "audience", expected: "an array of strings")
            ),
            (
                #"{"type":"hello","resume":"x"}"#, .invalid(field: "resume", expected: "an object")
            ),
        ]
        for (text, expected) in cases {
            #expect(throws: expected) { try ClientFrame(json: text) }
        }
    }

    @Test func sizesAreBounded() throws {
        let payload = [UInt8](repeating: 7, count: WireLimits.maxPayloadBytes)
        let largest = ClientFrame.send(.init(id: id, to: .user("bob"), messageClass: .message, payload: payload))
        #expect(try ClientFrame(json: largest.json) == largest)
        let larger = ClientFrame.send(.init(id: id, to: .user("bob"), messageClass: .message, payload: payload + [1]))
        #expect(throws: WireError.tooLarge(field: "payload", limit: WireLimits.maxPayloadBytes)) {
            try ClientFrame(json: larger.json)
        }
        let padded = String(repeating: " ", count: WireLimits.maxClientTextFrameBytes) + "{}"
        #expect(throws: WireError.tooLarge(field: "frame", limit: WireLimits.maxClientTextFrameBytes)) {
            try ClientFrame(json: padded)
        }
        let crowd = ClientFrame.statusPost(.init(id: id, audience: Array(repeating: "b", count: 4097)))
        #expect(throws: WireError.tooLarge(field: "audience", limit: WireLimits.maxAudienceUsers)) {
            try ClientFrame(json: crowd.json)
        }
        #expect(throws: WireError.tooLarge(field: "client", limit: WireLimits.maxClientNameBytes)) {
            try ClientFrame(json: ClientFrame.hello(.init(client: String(repeating: "c", count: 129))).json)
        }
    }

    @Test(arguments: ["bob", "bob/phone", "group:01890a5d-ac96-774b-bcce-b302099a8057"])
    func addressesHaveThreeForms(text: String) {
        #expect(PeerAddress(text)?.description == text)
    }

    @Test(arguments: ["", "/", "bob/", "/phone", "bob/phone/x", "group:", "group:x", "b b", "bob\u{0}", "böb"])
    func otherAddressesAreRefused(text: String) {
        #expect(PeerAddress(text) == nil)
    }
}
