package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// ServeHTTP gets every stream of the tunnel connection.
func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		a.ownRoute(w, r)
		return
	}
	if a.draining.Err() != nil {
		refuse(w, 503, "destination_unavailable", "agent_draining")
		return
	}
	authority, _, _ := strings.Cut(strings.ToLower(r.Host), ":") // a port means nothing (§2)
	name, runner, ok := strings.Cut(authority, ".")
	if !ok {
		refuse(w, 400, "http_request_error", "bad_request")
		return
	}
	if runner != a.runner {
		refuse(w, 404, "destination_not_found", "runner_unknown")
		return
	}
	address, ok := a.targets[name]
	if !ok {
		refuse(w, 404, "destination_not_found", "target_unknown")
		return
	}
	protocol := r.Header.Get(":protocol")
	if protocol != "" && protocol != "websocket" {
		refuse(w, 403, "http_request_denied", "not_allowed")
		return
	}
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		refuse(w, 502, "connection_refused", "target_refused")
		return
	}
	target := conn.(*net.TCPConn)
	defer target.Close()
	if protocol == "websocket" {
		serveWebSocket(w, r, target)
		return
	}
	w.WriteHeader(200)
	relay(w, r.Body, target, target)
}

func (a *agent) ownRoute(w http.ResponseWriter, r *http.Request) {
	if r.Host != "agent" {
		refuse(w, 403, "http_request_denied", "not_allowed")
		return
	}
	switch {
	case r.URL.Path != "/hello" && r.URL.Path != "/events" && r.URL.Path != "/credential":
		refuse(w, 404, "http_request_error", "not_found")
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", "GET")
		refuse(w, 405, "http_request_error", "method_not_allowed")
	case r.URL.Path == "/hello":
		sendJSON(w, a.hello())
	case r.URL.Path == "/credential":
		if a.carrier != "rh2" {
			refuse(w, 403, "http_request_denied", "not_allowed")
			return
		}
		sendJSON(w, map[string]string{"token": a.token})
	default:
		a.events(w, r)
	}
}

func (a *agent) hello() any {
	targets := []any{}
	for name := range a.targets {
		targets = append(targets, map[string]string{"name": name})
	}
	return map[string]any{
		"protocol":     1,
		"version":      "go",
		"instance":     a.instance,
		"bootEpochMs":  a.bootEpochMs,
		"capabilities": []string{"websocket", "target-host", "events"},
		"runners":      []any{map[string]any{"id": a.runner, "targets": targets}},
	}
}

// events lasts as long as the tunnel connection, but not longer than it drains: an endless stream would keep it open (§5.3).
func (a *agent) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(200)
	fmt.Fprintf(w, `{"type":"runner-added","runner":{"id":%q,"targets":[{"name":"extra"}]}}`+"\n", a.runner+"-extra")
	w.(http.Flusher).Flush()
	select {
	case <-r.Context().Done():
	case <-a.draining.Done():
	}
}

// refuse responds with the reason (§6.2). Early data that nobody has read makes this server send RST_STREAM(NO_ERROR)
// behind END_STREAM.
func refuse(w http.ResponseWriter, status int, proxyError, code string) {
	w.Header().Set("Proxy-Status", fmt.Sprintf("turnabout; error=%s; details=%q", proxyError, code))
	w.WriteHeader(status)
}

func sendJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}

// relay copies both ways until the target has ended. This server ends its half only by returning, and then it declines
// what the caller still sends: a FIN of the target is a close (§6.3). The caller's FIN is a FIN; a reset is a reset.
func relay(w http.ResponseWriter, body io.Reader, target *net.TCPConn, from io.Reader) {
	w.(http.Flusher).Flush()
	go func() {
		if _, err := io.Copy(target, body); err == nil {
			target.CloseWrite()
			return
		}
		target.SetLinger(0) // the caller's reset, or the loss of the tunnel connection: RST
		target.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, failed := w.Write(buffer[:n]); failed != nil {
				panic(http.ErrAbortHandler)
			}
			w.(http.Flusher).Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // RST_STREAM(INTERNAL_ERROR)
		}
	}
}
