// An agent on the stock HTTP/2 server of golang.org/x/net: nothing but docs/protocol.md and http2.Server.ServeConn.
//
// Run it with GODEBUG=http2xconnect=1: without it that server has no Extended CONNECT.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/net/http2"
)

// A stalled stream keeps its bytes out of the connection window, because this server returns that credit only when a
// handler has read them: so the window of the connection has to hold the windows of all streams (docs/protocol.md §4.2).
const (
	maxStreams       = 100
	streamWindow     = 256 << 10
	connectionWindow = maxStreams * streamWindow
)

type agent struct {
	server, token, carrier, runner string
	tls                            *tls.Config
	targets                        map[string]string
	instance                       string
	bootEpochMs                    int64
	draining                       context.Context
}

func main() {
	a := &agent{targets: map[string]string{}, instance: fmt.Sprintf("go-%d", os.Getpid()), bootEpochMs: time.Now().UnixMilli()}
	var ca string
	flag.StringVar(&a.server, "server", "127.0.0.1:8080", "host:port of the control plane")
	flag.StringVar(&a.token, "token", "", "bearer token")
	flag.StringVar(&a.carrier, "carrier", "ptth", "ptth or rh2")
	flag.StringVar(&a.runner, "runner", "go", "runner id")
	flag.StringVar(&ca, "ca", "", "PEM file of the authority; TLS with it")
	flag.Func("target", "NAME=host:port, repeatable", func(text string) error {
		var name, address string
		for i := range text {
			if text[i] == '=' {
				name, address = text[:i], text[i+1:]
				break
			}
		}
		if name == "" {
			return errors.New("use NAME=host:port")
		}
		a.targets[name] = address
		return nil
	})
	flag.Parse()
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			log.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		host, _, _ := net.SplitHostPort(a.server)
		a.tls = &tls.Config{RootCAs: pool, ServerName: host}
	}
	draining, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	a.draining = draining
	a.run()
}

// run dials until it has to drain. A tunnel connection that was refused or lost is dialled again after a pause.
func (a *agent) run() {
	for a.draining.Err() == nil {
		conn, err := a.dial()
		if err != nil {
			log.Printf("dial: %v", err)
		} else {
			log.Printf("connected: %s", a.carrier)
			a.serve(conn)
			log.Printf("connection ended")
		}
		select {
		case <-a.draining.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	log.Printf("drained")
}

func (a *agent) serve(conn net.Conn) {
	base := &http.Server{Handler: a}
	h2 := &http2.Server{
		MaxConcurrentStreams:         maxStreams,
		MaxUploadBufferPerStream:     streamWindow,
		MaxUploadBufferPerConnection: connectionWindow,
		ReadIdleTimeout:              15 * time.Second, // PING when nothing has come for so long (§4.4)
		PingTimeout:                  10 * time.Second,
	}
	if err := http2.ConfigureServer(base, h2); err != nil {
		log.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-a.draining.Done():
			// GOAWAY without debug data, which is taken as "draining" (§7). Running handlers go on.
			log.Printf("draining")
			base.Shutdown(context.Background())
		case <-ended:
		}
	}()
	h2.ServeConn(conn, &http2.ServeConnOpts{BaseConfig: base, Handler: a, Context: context.Background()})
	close(ended)
}
