package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// bufferedConn gives back what was read behind the 101: the connection preface may share its packet (§3.3).
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (a *agent) dial() (net.Conn, error) {
	conn, err := net.Dial("tcp", a.server)
	if err != nil {
		return nil, err
	}
	if a.tls != nil {
		conn = tls.Client(conn, a.tlsFor())
	}
	if a.carrier == "rh2" {
		return a.rh2(conn)
	}
	carrier, err := a.ptth(conn)
	if err != nil {
		conn.Close()
	}
	return carrier, err
}

func (a *agent) tlsFor() *tls.Config {
	config := a.tls.Clone()
	if a.carrier == "rh2" {
		config.NextProtos = []string{"rh2", "h2-reverse"}
	}
	return config
}

// hiddenTLS keeps http2.Server from looking at the ALPN identifier, which is not "h2", and at TLS rules for it.
type hiddenTLS struct{ net.Conn }

// rh2 is a tunnel connection from the first byte of TLS application data (§3.1).
func (a *agent) rh2(conn net.Conn) (net.Conn, error) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil, fmt.Errorf("rh2 needs TLS")
	}
	if err := secure.Handshake(); err != nil {
		return nil, err
	}
	if secure.ConnectionState().NegotiatedProtocol == "" {
		secure.Close()
		return nil, fmt.Errorf("something in between has ended TLS")
	}
	return hiddenTLS{secure}, nil
}

// ptth is the HTTP/1.1 upgrade of §3.3.
func (a *agent) ptth(conn net.Conn) (net.Conn, error) {
	request, err := http.NewRequest("GET", "http://"+a.server+"/api/v1/revdial?runnerid="+url.QueryEscape(a.runner), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "ptth")
	request.Header.Set("ALPN", "h2")
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Turnabout-Instance", a.instance)
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("refused: %s %s", response.Status, response.Header.Get("Proxy-Status"))
	}
	return bufferedConn{conn, reader}, nil
}
