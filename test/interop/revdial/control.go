package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/url"
	"strings"
	"time"
)

// A pickup that the server waits for is given up after so long.
const pickupTimeout = 20 * time.Second

type message struct {
	Command  string `json:"command,omitempty"`
	ConnPath string `json:"connPath,omitempty"`
	Err      string `json:"err,omitempty"`
}

// run is one control connection, from its handshake to its end.
func (c *client) run() error {
	conn, err := c.dialWebSocket("/api/v1/revdial?runnerid="+url.QueryEscape(c.runner), c.handshake)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	accepted := make(chan net.Conn, 8)
	defer conn.Close()
	defer close(ended)
	log.Printf("connected")
	go c.pingUntil(conn, ended)
	go c.serveAccepted(accepted, ended)
	// A line longer than this is an error, as there.
	lines := bufio.NewReaderSize(conn, 4096)
	for {
		conn.SetReadDeadline(time.Now().Add(c.silence))
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return err
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			log.Printf("not JSON: %q", line)
			return err
		}
		if m.Command == "conn-ready" && !c.mute {
			go c.pickUp(conn, m.ConnPath, accepted, ended)
		}
	}
}

func (c *client) pingUntil(socket *webSocket, ended <-chan struct{}) {
	ticker := time.NewTicker(c.ping)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
			if err := socket.writeFrame(opPing, true, nil); err != nil {
				socket.Close()
				return
			}
		}
	}
}

// pickUp opens the WebSocket that a dial waits for. Its path belongs to the server, but for the prefix.
func (c *client) pickUp(control net.Conn, path string, accepted chan<- net.Conn, ended <-chan struct{}) {
	dialled := path
	if !c.wolf {
		dialled = strings.Replace(path, "/revdial", "/api/v1/revdial", 1)
	}
	socket, err := c.dialWebSocket(dialled, min(pickupTimeout, c.handshake))
	if err != nil {
		log.Printf("pickup failed: %v", err)
		line, _ := json.Marshal(message{Command: "pickup-failed", ConnPath: path, Err: err.Error()})
		control.Write(append(line, '\n'))
		return
	}
	select {
	case accepted <- socket:
	case <-ended:
		socket.Close()
	}
}

// serveAccepted connects to the local service: one after the other, or, as wolf-revdial-client, all at once.
func (c *client) serveAccepted(accepted <-chan net.Conn, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case remote := <-accepted:
			if c.wolf {
				go c.serve(remote, false)
			} else {
				c.serve(remote, true)
			}
		}
	}
}

func (c *client) serve(remote net.Conn, background bool) {
	network, address := "tcp", c.local
	if path, found := strings.CutPrefix(c.local, "unix://"); found {
		network, address = "unix", path
	}
	local, err := net.DialTimeout(network, address, 5*time.Second)
	if err != nil {
		log.Printf("local: %v", err)
		remote.Close() // without a word: the server learns nothing but an end
		return
	}
	if background {
		go copyBoth(remote, local)
	} else {
		copyBoth(remote, local)
	}
}

// copyBoth ends both directions with the first that ends.
func copyBoth(remote, local net.Conn) {
	defer remote.Close()
	defer local.Close()
	ended := make(chan struct{}, 2)
	go func() { io.Copy(local, remote); ended <- struct{}{} }()
	go func() { io.Copy(remote, local); ended <- struct{}{} }()
	<-ended
}
