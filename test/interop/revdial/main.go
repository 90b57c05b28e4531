// A RevDial client: what Helix's revdial-client and, with -wolf, its wolf-revdial-client do on the wire, written from
// the description of that protocol and on the standard library alone. It shares no code with Helix nor with Turnabout.
package main

import (
	"errors"
	"flag"
	"log"
	"os"
	"strings"
	"time"
)

type client struct {
	server, runner, token, local string
	// wolf: the other command. It dials the path as it was given, pings half as often, waits longer between attempts,
	// gives a handshake less time, and loses what one read of a message leaves over.
	wolf      bool
	mute      bool
	ping      time.Duration
	silence   time.Duration
	reconnect time.Duration
	handshake time.Duration
}

func main() {
	c := &client{}
	flag.StringVar(&c.server, "server", os.Getenv("HELIX_API_URL"), "URL of the control plane")
	flag.StringVar(&c.runner, "runner-id", "", "runner id")
	flag.StringVar(&c.token, "token", os.Getenv("RUNNER_TOKEN"), "bearer token")
	flag.StringVar(&c.local, "local", "localhost:9876", "host:port or unix:///path")
	flag.BoolVar(&c.wolf, "wolf", false, "behave as wolf-revdial-client")
	flag.BoolVar(&c.mute, "mute", false, "never pick anything up, and never say why")
	flag.DurationVar(&c.ping, "ping", 0, "between two pings; default 15 s, 30 s with -wolf")
	flag.DurationVar(&c.silence, "silence", 60*time.Second, "without a line from the server the connection is given up")
	flag.DurationVar(&c.reconnect, "reconnect", 0, "between two attempts; default 1 s, 5 s with -wolf")
	flag.Parse()
	if c.server == "" || c.runner == "" || c.token == "" {
		log.Fatal("-server, -runner-id and -token are required")
	}
	seconds := func(own *time.Duration, usual, wolf time.Duration) {
		if *own == 0 && c.wolf {
			*own = wolf
		} else if *own == 0 {
			*own = usual
		}
	}
	seconds(&c.ping, 15*time.Second, 30*time.Second)
	seconds(&c.reconnect, time.Second, 5*time.Second)
	seconds(&c.handshake, 30*time.Second, 10*time.Second)
	for {
		err := c.run()
		log.Printf("ended: %v", err)
		time.Sleep(c.reconnect)
	}
}

// origin is scheme, host and port of the server. The path is ignored; the certificate is never checked: both as there.
func (c *client) origin() (host string, secure bool) {
	secure = strings.HasPrefix(c.server, "https://") || strings.HasPrefix(c.server, "wss://")
	_, rest, found := strings.Cut(c.server, "://")
	if !found {
		rest = c.server
	}
	host, _, _ = strings.Cut(rest, "/")
	if !strings.Contains(host, ":") {
		if secure {
			return host + ":443", true
		}
		return host + ":80", false
	}
	return host, secure
}

var (
	errClosed  = errors.New("the server has closed the WebSocket")
	errNotSent = errors.New("a control frame has waited too long for data before it")
)
