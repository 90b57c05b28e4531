package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	opContinuation = 0
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10

	// Of reading and of writing, and so the longest frame that is sent: what those programs have.
	bufferBytes = 4096
	// A PING does not wait longer for its turn, nor for its write.
	pingTimeout = 5 * time.Second
	// The same for what responds to a frame. Then it is dropped.
	responseTimeout = time.Second
)

// webSocket is the client's end of RFC 6455, as a byte stream of binary messages.
type webSocket struct {
	net.Conn
	reader *bufio.Reader
	// oneRead: a read takes what is at hand of a message, and the next one starts at the next message.
	oneRead bool

	remaining int
	final     bool
	// Holds one value while nobody writes.
	writing chan struct{}
}

func (c *client) connect(timeout time.Duration) (net.Conn, string, error) {
	host, secure := c.origin()
	conn, err := net.DialTimeout("tcp", host, timeout)
	if err != nil {
		return nil, host, err
	}
	conn.SetDeadline(time.Now().Add(timeout))
	if secure {
		name, _, _ := net.SplitHostPort(host)
		conn = tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	return conn, host, nil
}

// request sends a GET and reads the head of its response.
func (c *client) request(path string, fields http.Header, timeout time.Duration) (net.Conn, *bufio.Reader, *http.Response, error) {
	conn, host, err := c.connect(timeout)
	if err != nil {
		return nil, nil, nil, err
	}
	request, err := http.NewRequest("GET", "http://"+host+path, nil)
	if err == nil {
		request.Header = fields
		request.Header.Set("Authorization", "Bearer "+c.token)
		err = request.Write(conn)
	}
	if err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	reader := bufio.NewReaderSize(conn, bufferBytes)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	return conn, reader, response, nil
}

func refused(conn net.Conn, response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
	conn.Close()
	return fmt.Errorf("status %d: %s", response.StatusCode, text)
}

func (c *client) dialWebSocket(path string, timeout time.Duration) (*webSocket, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	fields := http.Header{}
	fields.Set("Upgrade", "websocket")
	fields.Set("Connection", "Upgrade")
	fields.Set("Sec-WebSocket-Key", key)
	fields.Set("Sec-WebSocket-Version", "13")
	conn, reader, response, err := c.request(path, fields, timeout)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, refused(conn, response)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if response.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		conn.Close()
		return nil, errors.New("wrong Sec-WebSocket-Accept")
	}
	if response.Header.Get("Sec-WebSocket-Protocol") != "" || response.Header.Get("Sec-WebSocket-Extensions") != "" {
		conn.Close()
		return nil, errors.New("a sub-protocol or an extension that was not offered")
	}
	conn.SetDeadline(time.Time{})
	writing := make(chan struct{}, 1)
	writing <- struct{}{}
	return &webSocket{Conn: conn, reader: reader, oneRead: c.wolf, final: true, writing: writing}, nil
}

// Read gives bytes of binary messages. With oneRead it begins a message each time, and what was left of the last is lost.
func (w *webSocket) Read(p []byte) (int, error) {
	if w.oneRead {
		if err := w.skipMessage(); err != nil {
			return 0, err
		}
	}
	for w.remaining == 0 {
		if err := w.nextFrame(); err != nil {
			return 0, err
		}
		if w.oneRead && w.remaining == 0 && w.final {
			return 0, io.EOF // an empty message ends the stream there
		}
	}
	n, err := w.reader.Read(p[:min(len(p), w.remaining)])
	w.remaining -= n
	return n, err
}

func (w *webSocket) skipMessage() error {
	for w.remaining > 0 || !w.final {
		if _, err := w.reader.Discard(w.remaining); err != nil {
			return err
		}
		w.remaining = 0
		if w.final {
			return nil
		}
		if err := w.nextFrame(); err != nil {
			return err
		}
	}
	return nil
}

// nextFrame reads up to the header of the next data frame. Pings are given their pongs on the way.
func (w *webSocket) nextFrame() error {
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(w.reader, head); err != nil {
			return err
		}
		final, opcode, length := head[0]&0x80 != 0, head[0]&0x0f, int(head[1]&0x7f)
		if head[0]&0x70 != 0 || head[1]&0x80 != 0 {
			return errors.New("reserved bits, or a masked frame")
		}
		if length >= 126 {
			long := make([]byte, 2)
			if length == 127 {
				long = make([]byte, 8)
			}
			if _, err := io.ReadFull(w.reader, long); err != nil {
				return err
			}
			if length == 127 {
				length = int(binary.BigEndian.Uint64(long))
			} else {
				length = int(binary.BigEndian.Uint16(long))
			}
		}
		switch opcode {
		case opBinary, opContinuation:
			if (opcode == opBinary) != w.final {
				return errors.New("a message within a message, or a continuation of none")
			}
			w.final, w.remaining = final, length
			return nil
		case opPing, opPong, opClose:
			payload := make([]byte, length)
			if _, err := io.ReadFull(w.reader, payload); err != nil {
				return err
			}
			if opcode == opPing {
				w.writeFrame(opPong, true, payload)
			} else if opcode == opClose {
				w.writeFrame(opClose, true, payload[:min(2, length)])
				return fmt.Errorf("%w: %x", errClosed, payload)
			}
		default:
			return fmt.Errorf("a frame with opcode %d", opcode)
		}
	}
}

// Write makes one message of p, in frames of a buffer's size.
func (w *webSocket) Write(p []byte) (int, error) {
	opcode := byte(opBinary)
	for sent := 0; ; opcode = opContinuation {
		n := min(bufferBytes, len(p)-sent)
		if err := w.writeFrame(opcode, sent+n == len(p), p[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
		if sent == len(p) {
			return sent, nil
		}
	}
}

func (w *webSocket) writeFrame(opcode byte, final bool, payload []byte) error {
	frame := make([]byte, 2, 14+len(payload))
	frame[0] = opcode
	if final {
		frame[0] |= 0x80
	}
	switch {
	case len(payload) < 126:
		frame[1] = 0x80 | byte(len(payload))
	default: // a frame is no longer than a buffer
		frame[1] = 0x80 | 126
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload)))
	}
	var key [4]byte
	rand.Read(key[:])
	frame = append(frame, key[:]...)
	for i, b := range payload {
		frame = append(frame, b^key[i&3])
	}
	var deadline time.Time
	var tooLate <-chan time.Time
	if opcode >= opClose {
		timeout := responseTimeout
		if opcode == opPing {
			timeout = pingTimeout
		}
		deadline = time.Now().Add(timeout)
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		tooLate = timer.C
	}
	select {
	case <-w.writing:
	case <-tooLate:
		return errNotSent
	}
	defer func() { w.writing <- struct{}{} }()
	w.Conn.SetWriteDeadline(deadline)
	_, err := w.Conn.Write(frame)
	return err
}
