package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
)

// serveWebSocket makes the RFC 6455 handshake with the target and responds only then (§6.4).
func serveWebSocket(w http.ResponseWriter, r *http.Request, target *net.TCPConn) {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	request := &http.Request{Method: "GET", URL: r.URL, Host: r.Header.Get("Turnabout-Host"), Header: r.Header.Clone()}
	request.URL.Scheme, request.URL.Host = "http", request.Host
	request.Header.Del(":protocol")
	request.Header.Del("Turnabout-Host")
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	request.Header.Set("Sec-WebSocket-Key", key)
	if err := request.Write(target); err != nil {
		refuse(w, 502, "connection_terminated", "target_closed")
		return
	}
	reader := bufio.NewReader(target)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		refuse(w, 502, "http_protocol_error", "target_protocol")
		return
	}
	for name, values := range response.Header {
		switch name {
		case "Connection", "Upgrade", "Keep-Alive", "Transfer-Encoding", "Sec-Websocket-Accept":
		default:
			w.Header()[name] = values
		}
	}
	if response.StatusCode >= 300 {
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
		return
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if response.StatusCode != 101 || response.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		w.Header().Set("Proxy-Status", fmt.Sprintf("turnabout; error=%s; details=%q", "http_protocol_error", "target_protocol"))
		w.WriteHeader(502)
		return
	}
	w.WriteHeader(200)
	relay(w, r.Body, target, reader)
}
