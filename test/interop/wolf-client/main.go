// A client of Wolf's API in Go, which does through Turnabout what Helix's does: its calls by net/http and its types, a
// connection for each. Its report is one line of JSON.
//
// With -through proxy the transport knows a proxy with a password, and the target is the host of the URL; with
// -through dial it only has another way to connect, as to a Unix socket, and the host says nothing.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

type layer struct {
	PressedKeys     []int32  `json:"pressed_keys"`
	PressedKeyNames []string `json:"pressed_key_names"`
	ModifierState   struct {
		Shift, Ctrl, Alt, Meta bool
	} `json:"modifier_state"`
}

type keyboard struct {
	SessionID   string `json:"session_id"`
	TimestampMs int64  `json:"timestamp_ms"`
	DeviceName  string `json:"device_name"`
	DeviceNode  string `json:"device_node"`
	Wolf        layer  `json:"wolf_state"`
	Inputtino   layer  `json:"inputtino_state"`
	Evdev       layer  `json:"evdev_state"`
	HasMismatch bool   `json:"has_mismatch"`
	layer              // once more, for older readers
}

type report struct {
	Apps      []string   `json:"apps"`
	Lobby     string     `json:"lobby"`
	Listed    bool       `json:"listed"`
	Event     string     `json:"event"`
	Keyboards []keyboard `json:"keyboards"`
	Released  []string   `json:"released"`
	Stopped   bool       `json:"stopped"`
}

type wolf struct {
	base string
	http *http.Client
}

func main() {
	proxy := flag.String("proxy", "", "http://x:TOKEN@host:port of the control plane")
	target := flag.String("target", "wolf.wolf-local", "target.runner")
	through := flag.String("through", "proxy", "proxy or dial")
	flag.Parse()
	address, err := url.Parse(*proxy)
	if err != nil {
		log.Fatal(err)
	}
	w := &wolf{base: "http://" + *target, http: &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyURL(address)},
		Timeout:   60 * time.Second,
	}}
	if *through == "dial" {
		w.base = "http://localhost"
		w.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return connect(ctx, address, *target)
		}}
	}
	result, err := w.session()
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

func (w *wolf) session() (*report, error) {
	r := &report{}
	var apps struct{ Apps []struct{ Title, ID string } }
	if err := w.call("GET", "/api/v1/apps", nil, &apps); err != nil {
		return nil, err
	}
	for _, app := range apps.Apps {
		r.Apps = append(r.Apps, app.Title)
	}
	events, err := w.http.Get(w.base + "/api/v1/events")
	if err != nil {
		return nil, err
	}
	defer events.Body.Close()
	var created struct {
		Success bool
		LobbyID string `json:"lobby_id"`
	}
	err = w.call("POST", "/api/v1/lobbies/create", map[string]any{
		"profile_id": "helix", "name": "go", "multi_user": true, "stop_when_everyone_leaves": false,
		"video_settings": map[string]any{"width": 1280, "height": 720, "refresh_rate": 60, "wayland_render_node": "",
			"runner_render_node": "", "video_producer_buffer_caps": "video/x-raw"},
		"audio_settings":      map[string]any{"channel_count": 2},
		"runner_state_folder": "go",
		"runner": map[string]any{"type": "docker", "name": "go", "image": "go", "mounts": []string{}, "env": []string{"A=1"},
			"devices": []string{}, "ports": []string{}, "base_create_json": "{}"},
	}, &created)
	if err != nil {
		return nil, err
	}
	r.Lobby = created.LobbyID
	if r.Event, err = firstEvent(events.Body); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	var lobbies struct {
		Lobbies []struct {
			ID, Name string
			Multi    bool `json:"multi_user"`
		}
	}
	if err := w.call("GET", "/api/v1/lobbies", nil, &lobbies); err != nil {
		return nil, err
	}
	for _, lobby := range lobbies.Lobbies {
		r.Listed = r.Listed || lobby.ID == r.Lobby && lobby.Name == "go" && lobby.Multi
	}
	var keyboards struct{ Sessions []keyboard }
	if err := w.call("GET", "/api/v1/keyboard/state", nil, &keyboards); err != nil {
		return nil, err
	}
	r.Keyboards = keyboards.Sessions
	for _, session := range r.Keyboards {
		var reset struct {
			Released []string `json:"released_keys"`
			Message  string
		}
		if err := w.call("POST", "/api/v1/keyboard/reset", map[string]string{"session_id": session.SessionID}, &reset); err != nil {
			return nil, err
		}
		r.Released = append(r.Released, reset.Released...)
	}
	var stopped struct{ Success bool }
	if err := w.call("POST", "/api/v1/lobbies/stop", map[string]string{"lobby_id": r.Lobby}, &stopped); err != nil {
		return nil, err
	}
	r.Stopped = stopped.Success
	return r, nil
}

func (w *wolf) call(method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, w.base+path, reader)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := w.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s %s: status %d: %s", method, path, response.StatusCode, text)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func firstEvent(body io.Reader) (string, error) {
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		if name, found := strings.CutPrefix(lines.Text(), "event: "); found {
			return name, nil
		}
	}
	return "", fmt.Errorf("no event: %w", lines.Err())
}

// connect is what a connection manager's Dial(ctx, runner) becomes: a CONNECT, whose bytes are Wolf's socket.
func connect(ctx context.Context, proxy *url.URL, target string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", proxy.Host)
	if err != nil {
		return nil, err
	}
	token, _ := proxy.User.Password()
	request := &http.Request{Method: "CONNECT", URL: &url.URL{Host: target}, Host: target, Header: http.Header{}}
	request.Header.Set("Proxy-Authorization", "Bearer "+token)
	if err := request.Write(conn); err != nil {
		conn.Close()
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		conn.Close()
		return nil, fmt.Errorf("CONNECT %s: %s", target, response.Status)
	}
	return conn, nil // Wolf never speaks first: the reader has nothing left
}
