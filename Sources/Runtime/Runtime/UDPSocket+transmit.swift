import Base
import CShims
import Glibc

extension UDPSocket {
    /// Gives messages to the kernel. One that it does not take is lost alone.
    ///
    /// - Returns: datagrams that it did not take.
    @discardableResult
    func transmit(_ messages: UnsafePointer<skerry_message>, _ count: Int) -> Int {
        var lost = 0
        var next = 0
        while next < count {
            let taken = Int(skerry_send_messages(descriptor, messages + next, Int32(count - next)))
            statistics.sendCalls += 1
            if taken > 0 {
                for index in next..<next + taken { statistics.sent += UInt64(messages[index].datagramCount) }
                next += taken
            } else {
                lost += sendAgain(messages[next], Int32(-taken))
                next += 1
            }
        }
        return lost
    }

    /// After a refusal: several datagrams one by one. A single one again if the error may be one that another has met, which the
    /// kernel tells to whoever calls next.
    func sendAgain(_ message: skerry_message, _ code: Int32) -> Int {
        if message.segment > 0 {
            statistics.refusedMessages += 1
            // Neither the device nor the kernel can fill in the checksums; that will not change.
            if code == EIO { mergesDatagrams = false }
            var lost = 0
            var single = message
            single.segment = 0
            for offset in stride(from: 0, to: Int(message.count), by: Int(message.segment)) {
                single.bytes = message.bytes + offset
                single.count = min(UInt32(message.segment), message.count - UInt32(offset))
                lost += transmit(&single, 1)
            }
            return lost
        }
        var code = code
        if code == EMSGSIZE, forbidsFragments { tooLargeFor = message.destination }
        if onError != nil, Self.isFromNetwork(code) {
            var single = message
            let taken = skerry_send_messages(descriptor, &single, 1)
            statistics.sendCalls += 1
            if taken == 1 {
                statistics.sent += 1
                return 0
            }
            code = -taken
        }
        statistics.drop(Self.reason(code))
        return 1
    }

    private static func isFromNetwork(_ code: Int32) -> Bool {
        reason(code) == .unreachable || code == EMSGSIZE || code == EPROTO
    }

    private static func reason(_ code: Int32) -> DatagramDrop {
        switch code {
        case EAGAIN, ENOBUFS, ENOMEM: .queueFull
        case ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, EHOSTDOWN, ENETDOWN, EADDRNOTAVAIL: .unreachable
        case EMSGSIZE: .tooLarge
        case EPERM, EACCES: .forbidden
        default: .other
        }
    }
}

extension skerry_message {
    var destination: SocketAddress {
        let ip =
            is_v6 == 1 ? IPAddress(v6High: to_high, low: to_low) : IPAddress(v4: UInt32(truncatingIfNeeded: to_low))
        return SocketAddress(ip, port: to_port)
    }

    var datagramCount: Int { segment == 0 ? 1 : (Int(count) + Int(segment) - 1) / Int(segment) }
}
