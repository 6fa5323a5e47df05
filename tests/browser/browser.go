// Package browser drives a headless Chromium through chromedriver, which speaks
// WebDriver. It is for tests of what the program writes for a browser, and for
// pictures of it.
package browser

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// A Browser is one window of a browser of its own.
type Browser struct {
	driver  *exec.Cmd
	base    string // of the session
	scratch string
}

// flags make a browser that asks for nothing but what a page asks for.
var flags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb", "--disable-dev-shm-usage",
}

// Installed says which program is missing; nil: none.
func Installed() error {
	if _, err := exec.LookPath("chromedriver"); err != nil {
		return err
	}
	_, err := exec.LookPath("chromium")
	return err
}

// Start starts a browser with an empty profile. Close ends it.
func Start() (*Browser, error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "browser")
	if err != nil {
		return nil, err
	}
	b := &Browser{driver: exec.Command("chromedriver", "--port=0"), scratch: scratch}
	out, err := b.driver.StdoutPipe()
	if err == nil {
		err = b.driver.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	port, err := listening(out)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.base = "http://127.0.0.1:" + port + "/session"
	var session struct{ SessionID string }
	err = b.call(http.MethodPost, "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":       "chrome",
		"goog:loggingPrefs": map[string]any{"browser": "ALL", "performance": "ALL"},
		"goog:chromeOptions": map[string]any{
			"binary": chromium,
			"args":   append([]string{"--user-data-dir=" + scratch}, flags...),
		},
	}}}, &session)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.base += "/" + session.SessionID
	// What the browser's own first page asks for is of no interest.
	err = b.Open("about:blank")
	_, logged := b.Requests()
	if err = errors.Join(err, logged); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// listening waits for the driver to say its port, and then lets it talk.
func listening(out io.Reader) (string, error) {
	said := regexp.MustCompile(`on port (\d+)\.`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := said.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, out)
			return m[1], nil
		}
	}
	return "", errors.New("chromedriver ended before it listened")
}

// Close ends the browser and removes its profile.
func (b *Browser) Close() error {
	var err error
	if strings.Contains(b.base, "/session/") {
		err = b.call(http.MethodDelete, "", nil, nil)
	}
	_ = b.driver.Process.Kill()
	_ = b.driver.Wait() // it was killed
	return errors.Join(err, os.RemoveAll(b.scratch))
}

// call sends a command and reads the value of the answer into out, if not nil.
func (b *Browser) call(method, path string, in, out any) error {
	var body io.Reader
	if method == http.MethodPost {
		if in == nil {
			in = struct{}{}
		}
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, b.base+path, body)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 2 * time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct{ Value json.RawMessage }
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("%s %s: %s: %w", method, path, resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK {
		var fault struct{ Error, Message string }
		_ = json.Unmarshal(answer.Value, &fault)
		first, _, _ := strings.Cut(fault.Message, "\n")
		return fmt.Errorf("%s %s: %s: %s", method, path, fault.Error, first)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, out)
}

// Open goes to an address and waits until it is loaded.
func (b *Browser) Open(url string) error {
	return b.call(http.MethodPost, "/url", map[string]any{"url": url}, nil)
}

// Run runs the body of a function in the page, with its arguments as arguments,
// and reads what it returns into out, if not nil. A promise is waited for.
func (b *Browser) Run(out any, script string, args ...any) error {
	if args == nil {
		args = []any{}
	}
	return b.call(http.MethodPost, "/execute/sync", map[string]any{"script": script, "args": args}, out)
}

// The keys that Press takes besides characters, by the names of WebDriver.
const (
	Shift = "\ue008"
	Tab   = "\ue004"
	Enter = "\ue007"
	Space = " "
	Up    = "\ue013"
	Down  = "\ue015"
	Home  = "\ue011"
	End   = "\ue010"
)

// Press presses keys one after another, each released before the next.
func (b *Browser) Press(keys ...string) error {
	var actions []map[string]any
	for _, k := range keys {
		actions = append(actions, map[string]any{"type": "keyDown", "value": k}, map[string]any{"type": "keyUp", "value": k})
	}
	return b.keys(actions)
}

// Chord presses keys together.
func (b *Browser) Chord(keys ...string) error {
	var down, up []map[string]any
	for _, k := range keys {
		down = append(down, map[string]any{"type": "keyDown", "value": k})
		up = append(up, map[string]any{"type": "keyUp", "value": k})
	}
	return b.keys(append(down, up...))
}

func (b *Browser) keys(actions []map[string]any) error {
	return b.call(http.MethodPost, "/actions", map[string]any{"actions": []any{
		map[string]any{"type": "key", "id": "keyboard", "actions": actions},
	}}, nil)
}

// View sets the size of the window in pixels, and whether dark is preferred.
func (b *Browser) View(width, height int, dark bool) error {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	err := b.command("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	return errors.Join(err, b.command("Emulation.setEmulatedMedia", map[string]any{
		"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}},
	}))
}

// command sends a command of the DevTools protocol.
func (b *Browser) command(name string, params any) error {
	return b.call(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": name, "params": params}, nil)
}

// Screenshot takes a picture of the window, as PNG.
func (b *Browser) Screenshot() ([]byte, error) {
	var text string
	if err := b.call(http.MethodGet, "/screenshot", nil, &text); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// Console returns what was written to the console since it was asked last,
// faults of the page and refused requests among it.
func (b *Browser) Console() ([]string, error) {
	var entries []struct{ Level, Message string }
	if err := b.call(http.MethodPost, "/se/log", map[string]any{"type": "browser"}, &entries); err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Level+": "+e.Message)
	}
	return out, nil
}

// Requests returns the addresses that were asked for since it was asked last.
func (b *Browser) Requests() ([]string, error) {
	var entries []struct{ Message string }
	if err := b.call(http.MethodPost, "/se/log", map[string]any{"type": "performance"}, &entries); err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		var event struct {
			Message struct {
				Method string
				Params struct {
					Request struct{ URL string }
					URL     string // of a web socket
				}
			}
		}
		if err := json.Unmarshal([]byte(e.Message), &event); err != nil {
			return nil, err
		}
		switch event.Message.Method {
		case "Network.requestWillBeSent":
			out = append(out, event.Message.Params.Request.URL)
		case "Network.webSocketCreated":
			out = append(out, event.Message.Params.URL)
		}
	}
	return out, nil
}
