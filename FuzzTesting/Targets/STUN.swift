import Base
import STUN

extension FuzzTarget {
    /// STUN messages with their attributes, integrity and fingerprint, and ChannelData: a datagram on the relay's port.
    static let stun = FuzzTarget("stun") { input throws(BrokenProperty) in
        try checkChannelData(input)
        guard let message = try? STUNMessage(input.span.bytes) else { return }
        let peeked = STUNMessageType(peeking: input.span.bytes)
        try hold(peeked == message.type, "the peeked type is another")
        let attributes = attributes(of: message, in: input)
        let unknown = message.unknownAttributes(limit: .max)
        try hold(message.isUnderstood == unknown.isEmpty, "understood, with attributes that are not")
        try hold(unknown.count <= attributes.count, "more unknown attributes than attributes")
        _ = message.hasValidIntegrity(key)
        for attribute in attributes { readValues(message, attribute.type) }

        // Integrity and fingerprint have to fit, too.
        guard input.count <= 65_000 else { return }
        // What is written again is read as the same, with its integrity and fingerprint in order.
        for integrity in [STUNIntegrity.sha1, .sha256] {
            let written = write(message.type, message.transactionID, attributes, integrity)
            let again = try held("what was written is refused") { () throws(STUNError) in try Reread(written) }
            try hold(again.type == message.type && again.transactionID == message.transactionID, "another header")
            try holdEqual(again.attributes, attributes, "attributes")
            try hold(again.isAuthentic, "the integrity that was written is refused")
        }

        let addresses = socketAddresses(in: message)
        let answer = writeAddresses(addresses, message.transactionID)
        let answered = try held("what was written is refused") { () throws(STUNError) in try Reread(answer) }
        try holdEqual(answered.addresses, addresses, "addresses")
    }

    private static let key = LongTermKey(username: "skerry", realm: "skerry", password: "skerry")

    struct WrittenAttribute: Equatable {
        var type: STUNAttributeType
        var value: [UInt8]
    }

    /// What is kept of a message, which itself cannot leave its bytes.
    private struct Reread {
        let type: STUNMessageType
        let transactionID: TransactionID
        let attributes: [WrittenAttribute]
        let addresses: [SocketAddress]
        let isAuthentic: Bool

        init(_ bytes: [UInt8]) throws(STUNError) {
            let message = try STUNMessage(bytes.span.bytes)
            type = message.type
            transactionID = message.transactionID
            attributes = FuzzTarget.attributes(of: message, in: bytes)
            addresses = socketAddresses(in: message)
            isAuthentic = message.hasFingerprint && message.hasValidIntegrity(FuzzTarget.key)
        }
    }

    private static func checkChannelData(_ input: [UInt8]) throws(BrokenProperty) {
        guard let header = ChannelData.read(input.span.bytes) else { return }
        try hold(DatagramKind(firstByte: input[0]) == .channelData, "channel data behind another first byte")
        let payload = header.payload
        try hold(payload.lowerBound == 4 && payload.upperBound <= input.count, "a payload that is not there")
        var written = [UInt8](repeating: 0, count: 4)
        written.withUnsafeMutableBytes { buffer in
            ChannelData.writeHeader(channel: header.channel, payloadCount: header.payload.count, into: buffer)
        }
        try hold(written.elementsEqual(input[..<4]), "another header was written")
    }

    private static func attributes(of message: borrowing STUNMessage, in bytes: [UInt8]) -> [WrittenAttribute] {
        var found: [WrittenAttribute] = []
        var current = message.attribute()
        while let attribute = current {
            found.append(WrittenAttribute(type: attribute.type, value: Array(bytes[attribute.range])))
            current = message.attribute(after: attribute)
        }
        return found
    }

    private static func socketAddresses(in message: borrowing STUNMessage) -> [SocketAddress] {
        var found: [SocketAddress] = []
        var current = message.attribute()
        while let attribute = current {
            if let address = message.xorAddress(attribute) { found.append(address) }
            current = message.attribute(after: attribute)
        }
        return found
    }

    private static func readValues(_ message: borrowing STUNMessage, _ type: STUNAttributeType) {
        _ = message.value(type)
        _ = message.text(type)
        _ = message.number(type)
        _ = message.leadingByte(type)
        _ = message.xorAddress(type)
        _ = message.address(type)
        _ = message.channelNumber
        _ = message.errorCode
        _ = message.addressError
        _ = message.icmp
        _ = message.changeRequest
        _ = message.responsePort
        _ = message.userhash
        _ = message.passwordAlgorithm
        _ = message.hasPasswordAlgorithms([.md5, .sha256])
    }

    private static func write(
        _ type: STUNMessageType, _ transactionID: TransactionID, _ attributes: [WrittenAttribute],
        _ integrity: STUNIntegrity
    ) -> [UInt8] {
        let count = attributes.reduce(64) { $0 + 4 + ($1.value.count + 3) & ~3 }
        var buffer = [UInt8](repeating: 0xEE, count: count)
        let written = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(into: buffer, type: type, transactionID: transactionID)
            for attribute in attributes { writer.append(attribute.type, bytes: attribute.value) }
            return writer.finish(integrity: (integrity, key), fingerprint: true)
        }
        return Array(buffer[..<written])
    }

    private static func writeAddresses(_ addresses: [SocketAddress], _ transactionID: TransactionID) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64 + addresses.count * 24)
        let written = buffer.withUnsafeMutableBytes { buffer in
            var writer = STUNWriter(
                into: buffer, type: STUNMessageType(.binding, .success), transactionID: transactionID)
            for address in addresses { writer.append(.xorPeerAddress, xorAddress: address) }
            return writer.finish()
        }
        return Array(buffer[..<written])
    }
}
