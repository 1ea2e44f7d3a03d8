import Base
import STUN
import Testing

@Suite struct AddressAttributeTests {
    static let addresses = ["192.0.2.7:443", "[2001:db8::9]:65535", "0.0.0.0:0", "255.255.255.255:1", "[::]:0"]

    @Test(arguments: addresses)
    func bothFormsSurvive(text: String) throws {
        let address = try #require(SocketAddress(text))
        let bytes = STUNMessageTests.message {
            $0.append(.alternateServer, address: address)
            $0.append(.xorPeerAddress, xorAddress: address)
        }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.address(.alternateServer), address)
        expectEqual(message.xorAddress(.xorPeerAddress), address)
        expectEqual(message.address(.otherAddress), nil)
    }

    /// MAPPED-ADDRESS byte for byte (RFC 8489 section 14.1).
    @Test func plainBytes() throws {
        let bytes = STUNMessageTests.message {
            $0.append(.mappedAddress, address: SocketAddress("192.0.2.7:443")!)
            $0.append(.otherAddress, address: SocketAddress("[2001:db8::9]:3478")!)
        }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.value(.mappedAddress), [0, 1, 0x01, 0xBB, 192, 0, 2, 7])
        expectEqual(
            message.value(.otherAddress),
            [0, 2, 0x0D, 0x96, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])
    }

    @Test(
        arguments: [[], [0, 1], [0, 1, 0, 0, 1, 2, 3], [0, 2, 0, 0, 1, 2, 3, 4], [0, 3, 0, 0, 1, 2, 3, 4]] as [[UInt8]])
    func malformed(value: [UInt8]) throws {
        let bytes = STUNMessageTests.message { $0.append(.alternateServer, bytes: value) }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.address(.alternateServer), nil)
    }

    @Test(arguments: [(IPAddress.Family.v4, STUNErrorCode.addressFamilyNotSupported), (.v6, .insufficientCapacity)])
    func addressErrors(family: IPAddress.Family, code: STUNErrorCode) throws {
        let bytes = STUNMessageTests.message { $0.append(addressError: code, family: family) }
        let message = try STUNMessage(bytes.span.bytes)
        let (hundreds, rest) = (UInt8(code.rawValue / 100), UInt8(code.rawValue % 100))
        expectEqual(message.value(.addressErrorCode), [family == .v4 ? 1 : 2, 0, hundreds, rest])
        expectEqual(message.addressError?.family, family)
        expectEqual(message.addressError?.code, code)
    }

    @Test(arguments: [[1, 0, 4], [3, 0, 4, 40], [1, 0, 2, 0], [1, 0, 4, 100]] as [[UInt8]])
    func malformedAddressErrors(value: [UInt8]) throws {
        let bytes = STUNMessageTests.message { $0.append(.addressErrorCode, bytes: value) }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.addressError?.code, nil)
    }

    // MARK: - ICMP (RFC 8656 sections 11.5 and 18.13)

    @Test(
        arguments: [
            ("9.9.9.9:53", 3, 3, 0, [0, 0, 0x06, 0x03, 0, 0, 0, 0]),
            ("9.9.9.9:53", 3, 4, 1400, [0, 0, 0x06, 0x04, 0, 0, 0x05, 0x78]),
            ("9.9.9.9:53", 11, 0, 1400, [0, 0, 0x16, 0, 0, 0, 0, 0]),
            ("[2001:db8::9]:53", 2, 0, 1280, [0, 0, 0x04, 0, 0, 0, 0x05, 0]),
            ("[2001:db8::9]:53", 1, 4, 1280, [0, 0, 0x02, 4, 0, 0, 0, 0]),
        ] as [(String, UInt8, UInt8, UInt32, [UInt8])])
    func icmpIndications(peer: String, type: UInt8, code: UInt8, mtu: UInt32, value: [UInt8]) throws {
        let peer = try #require(SocketAddress(peer))
        let error = ICMPError(family: peer.ip.family, type: type, code: code, mtu: mtu)
        var buffer = [UInt8](repeating: 0xEE, count: ICMPIndication.maxByteCount)
        let count = buffer.withUnsafeMutableBytes {
            ICMPIndication.write(error, peer: peer, transactionID: TransactionID(high: 1, low: 2), into: $0)
        }
        let bytes = Array(buffer[..<count])
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.type, STUNMessageType(.data, .indication))
        expectEqual(message.xorAddress(.xorPeerAddress), peer)
        expectEqual(message.value(.icmp), value)
        expectEqual(message.icmp, error)
        expectEqual(message.attribute(.data), nil)
    }

    @Test func whatClientsAreToldOf() {
        #expect((UInt8.min ... .max).filter { ICMPError.concernsClients(family: .v4, type: $0) } == [3, 11])
        #expect((UInt8.min ... .max).filter { ICMPError.concernsClients(family: .v6, type: $0) } == [1, 2, 3])
    }

    // MARK: - NAT behaviour discovery (RFC 5780 section 7)

    @Test(
        arguments: [
            ([0, 0, 0, 0], []), ([0, 0, 0, 2], .port), ([0, 0, 0, 4], .address), ([0, 0, 0, 6], [.address, .port]),
            ([0xFF, 0xFF, 0xFF, 0xF9], []), ([0, 0, 0], nil), ([], nil),
        ] as [([UInt8], ChangeRequest?)])
    func changeRequests(value: [UInt8], expected: ChangeRequest?) throws {
        let bytes = STUNMessageTests.message { $0.append(.changeRequest, bytes: value) }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.changeRequest, expected)
        expectEqual(message.isUnderstood, false)
        expectEqual(
            message.unknownAttributes(limit: 8, understood: .relay.union(.discovery)), [])
    }

    @Test(
        arguments: [
            ([0x0D, 0x96, 0, 0], 3478), ([0x0D, 0x96], 3478), ([0, 0], nil), ([1], nil), ([1, 2, 3], nil), ([], nil),
        ] as [([UInt8], UInt16?)])
    func responsePorts(value: [UInt8], expected: UInt16?) throws {
        let bytes = STUNMessageTests.message { $0.append(.responsePort, bytes: value) }
        let message = try STUNMessage(bytes.span.bytes)
        expectEqual(message.responsePort, expected)
        expectEqual(message.changeRequest, [])
    }
}
