// Relays by pion's TURN client over one transport: between two allocations by indications and channels, and to a peer outside.
//
// usage: pion_client udp|tcp|tls|dtls HOST:PORT USERNAME CREDENTIAL AUTHORITY.pem
//
// Prints what went wrong and ends with 1, or ends with 0.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pion/dtls/v2"
	"github.com/pion/turn/v2"
)

const (
	messages = 100
	patience = 10 * time.Second
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: pion_client udp|tcp|tls|dtls HOST:PORT USERNAME CREDENTIAL AUTHORITY.pem")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(kind, server, user, credential, authority string) error {
	one, err := open(kind, server, user, credential, authority)
	if err != nil {
		return err
	}
	defer one.close()
	other, err := open(kind, server, user, credential, authority)
	if err != nil {
		return err
	}
	defer other.close()
	if err := between(one.relayed, other.relayed); err != nil {
		return fmt.Errorf("between two allocations: %w", err)
	}
	if err := outside(one.relayed); err != nil {
		return fmt.Errorf("to a peer: %w", err)
	}
	return nil
}

type allocation struct {
	conn    net.PacketConn
	client  *turn.Client
	relayed net.PacketConn
}

func open(kind, server, user, credential, authority string) (*allocation, error) {
	conn, err := dial(kind, server, authority)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Conn: conn, Username: user, Password: credential})
	if err != nil {
		return nil, err
	}
	if err := client.Listen(); err != nil {
		return nil, err
	}
	mapped, err := client.SendBindingRequest()
	if err != nil {
		return nil, fmt.Errorf("Binding: %w", err)
	}
	if local := conn.LocalAddr().String(); kind != "udp" && mapped.String() != local {
		return nil, fmt.Errorf("Binding tells %s, this is %s", mapped, local)
	}
	relayed, err := client.Allocate()
	if err != nil {
		return nil, fmt.Errorf("Allocate: %w", err)
	}
	return &allocation{conn, client, relayed}, nil
}

// close deletes the allocation (Refresh with a lifetime of 0).
func (a *allocation) close() {
	a.relayed.Close()
	a.client.Close()
	a.conn.Close()
}

func dial(kind, server, authority string) (net.PacketConn, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	var conn net.Conn
	switch kind {
	case "udp":
		return net.ListenPacket("udp4", "127.0.0.1:0")
	case "tcp":
		conn, err = net.Dial("tcp", server)
	case "tls":
		conn, err = tls.Dial("tcp", server, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"stun.turn"}})
	case "dtls":
		var to *net.UDPAddr
		if to, err = net.ResolveUDPAddr("udp", server); err == nil {
			conn, err = dtls.Dial("udp", to, &dtls.Config{RootCAs: roots, ServerName: "localhost"})
		}
		if err == nil {
			return datagrams{conn}, nil
		}
	default:
		err = fmt.Errorf("no transport %s", kind)
	}
	if err != nil {
		return nil, err
	}
	return turn.NewSTUNConn(conn), nil
}

// datagrams makes of a connection that keeps messages apart what pion's client takes.
type datagrams struct{ net.Conn }

func (d datagrams) ReadFrom(p []byte) (int, net.Addr, error) {
	count, err := d.Read(p)
	return count, d.RemoteAddr(), err
}

func (d datagrams) WriteTo(p []byte, _ net.Addr) (int, error) { return d.Write(p) }

// between sends to and fro: the first messages go as indications, and as channel data once pion has bound a channel.
func between(one, other net.PacketConn) error {
	if _, err := one.WriteTo([]byte("permits the other"), other.LocalAddr()); err != nil {
		return err
	}
	for number := 0; number < messages; number++ {
		for _, way := range [][2]net.PacketConn{{other, one}, {one, other}} {
			if err := pass(way[0], way[1], payload(number)); err != nil {
				return fmt.Errorf("message %d: %w", number, err)
			}
		}
	}
	return nil
}

func outside(relayed net.PacketConn) error {
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer peer.Close()
	for number := 0; number < messages; number++ {
		for _, way := range [][2]net.PacketConn{{relayed, peer}, {peer, relayed}} {
			if err := pass(way[0], way[1], payload(number)); err != nil {
				return fmt.Errorf("message %d: %w", number, err)
			}
		}
	}
	return nil
}

// payload is never below five bytes: of less, pion's reader of streams makes nothing (it takes no frame below nine bytes).
func payload(number int) []byte {
	return bytes.Repeat([]byte{byte(number)}, 5+number*11)
}

func pass(from, to net.PacketConn, data []byte) error {
	if _, err := from.WriteTo(data, to.LocalAddr()); err != nil {
		return err
	}
	if err := to.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buffer := make([]byte, 2000)
	for {
		count, source, err := to.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if source.String() != from.LocalAddr().String() {
			return fmt.Errorf("from %s instead of %s", source, from.LocalAddr())
		}
		if bytes.Equal(buffer[:count], data) {
			return nil
		}
	}
}
