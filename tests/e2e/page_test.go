//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	htmlpage "github.com/oneloop-dev/oneloop/pkg/diff/page"
	"github.com/oneloop-dev/oneloop/tests/browser"
)

// startBrowser skips the test when there is no browser, unless there must be one.
func startBrowser(t *testing.T) *browser.Browser {
	t.Helper()
	if err := browser.Installed(); err != nil {
		if slices.Contains(strings.Fields(os.Getenv("E2E_REQUIRE")), "browser") {
			t.Fatalf("no browser: %v", err)
		}
		t.Skipf("no browser: %v", err)
	}
	b, err := browser.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// hostile is in names, values, comments and file names of the manifests.
const hostile = `</script><img src=x onerror=alert(1)>`

// writePage writes what two policies change in 182 manifests as a page, and
// returns its address.
func writePage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var manifests strings.Builder
	for i := range 180 {
		kind, version := "ConfigMap", "v1"
		if i%3 == 0 {
			kind, version = "Deployment", "apps/v1"
		}
		fmt.Fprintf(&manifests, "---\napiVersion: %s\nkind: %s\nmetadata:\n  name: app-%d\n  namespace: team-%d\n", version, kind, i, i%4)
		if kind == "Deployment" {
			fmt.Fprintf(&manifests, "spec:\n  replicas: 1 # %s\n  template:\n    spec:\n      containers:\n      - name: a\n        image: registry.example.com/a:1\n", hostile)
		} else {
			fmt.Fprintf(&manifests, "data:\n  text: %q\n  a: b\n  c: d\n  e: f\n  g: h\n  i: j\n  k: l\n  mode: old\n", hostile+"\u2028")
		}
	}
	manifests.WriteString("---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: password\n  namespace: team-0\nstringData:\n  password: geheim\n")
	manifests.WriteString("---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: team-0\n")
	policy := `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: %s
  annotations: {policies.kyverno.io/severity: %s}
spec:
  rules:
`
	policies := fmt.Sprintf(policy, "labels", "low") + `  - name: team
    match: {any: [{resources: {kinds: [Deployment, Secret]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {"team": "` + hostile + `"}}}}
---
` + fmt.Sprintf(policy, "modes", "high") + `  - name: mode
    match: {any: [{resources: {kinds: [ConfigMap], namespaces: [team-1, team-2]}}]}
    mutate:
      patchesJson6902: |-
        - {op: replace, path: /data/mode, value: new}
        - {op: remove, path: /data/a}
  - name: replicas
    match: {any: [{resources: {kinds: [Deployment]}}]}
    mutate: {patchStrategicMerge: {spec: {replicas: 3}}}
---
` + fmt.Sprintf(policy, "defaults", "medium") + `  - name: deny
    match: {any: [{resources: {kinds: [Namespace]}}]}
    generate: {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, name: deny, namespace: team-0, data: {spec: {podSelector: {}, policyTypes: [Ingress]}}}
`
	file := "a&b <i>.yaml"
	for name, text := range map[string]string{file: manifests.String(), "policies.yaml": policies} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(root, "bin", "oneloop"), "diff", "-p", "policies.yaml", "-o", "html", file)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	if strings.Contains(string(out), "geheim") {
		t.Error("the page has the value of a Secret")
	}
	page := filepath.Join(dir, "diff.html")
	if err := os.WriteFile(page, out, 0o644); err != nil {
		t.Fatal(err)
	}
	return "file://" + page
}

// A reader looks at a page.
type reader struct {
	t *testing.T
	*browser.Browser
}

func (r reader) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r reader) text(script string, args ...any) string {
	r.t.Helper()
	var out string
	r.must(r.Run(&out, script, args...))
	return out
}

// shown is what the page says about how much it shows.
func (r reader) shown() string {
	return r.text("return document.getElementById('shown').textContent")
}

// names are the resources that the page lists.
func (r reader) names() (out []string) {
	r.t.Helper()
	r.must(r.Run(&out, "return [...document.querySelectorAll('#list h3')].map(h => h.textContent)"))
	return out
}

// choose chooses an option by the start of its label, as a reader does.
func (r reader) choose(id, label string) {
	r.t.Helper()
	r.must(r.Run(nil, `
		const select = document.getElementById(arguments[0]);
		const option = [...select.options].find(o => o.label.startsWith(arguments[1]));
		if (!option) throw new Error('no option ' + arguments[1] + ' among ' + [...select.options].map(o => o.label));
		select.value = option.value;
		select.dispatchEvent(new Event('input', {bubbles: true}));`, id, label))
}

func (r reader) focused() string {
	r.t.Helper()
	return r.text(`const e = document.activeElement;
		return e.id || (e.tagName + ' ' + (e.getAttribute('aria-label') || e.textContent)).slice(0, 60)`)
}

func TestPage(t *testing.T) {
	b := startBrowser(t)
	page := writePage(t)
	open := func(t *testing.T, width, height int, dark bool) reader {
		r := reader{t, b}
		r.must(b.View(width, height, dark))
		r.must(b.Open("about:blank"))
		r.must(b.Open(page))
		return r
	}

	// The page asks for nothing but itself, and nothing goes wrong in it, opened
	// details included.
	t.Run("quiet", func(t *testing.T) {
		r := open(t, 1280, 900, false)
		r.must(r.Run(nil, "document.getElementById('toggle').click()"))
		r.must(r.Run(nil, "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"))
		said, err := r.Console()
		r.must(err)
		if len(said) > 0 {
			t.Errorf("the console has %q", said)
		}
		asked, err := r.Requests()
		r.must(err)
		asked = slices.DeleteFunc(asked, func(url string) bool { return url == "about:blank" || url == "data:," })
		if d := cmp.Diff([]string{page}, asked); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
		var images, alerts int
		r.must(r.Run(&images, "return document.images.length"))
		r.must(r.Run(&alerts, "return document.scripts.length"))
		if images != 0 || alerts != 1 {
			t.Errorf("%d images and %d scripts: a manifest was taken for HTML", images, alerts)
		}
	})

	t.Run("filters", func(t *testing.T) {
		r := open(t, 1280, 900, false)
		reset := func() {
			r.must(r.Run(nil, "document.getElementById('clear').click()"))
		}
		for _, tt := range []struct{ policy, namespace, kind, severity, text, want string }{
			{want: "122 resources, the first 100 are listed"},
			{policy: "labels", want: "61 of 122 resources match"},
			{policy: "modes", kind: "ConfigMap", want: "60 of 122 resources match"},
			{policy: "modes", kind: "ConfigMap", namespace: "team-1", want: "30 of 122 resources match"},
			{severity: "high", want: "120 of 122 resources match, the first 100 are listed"},
			{severity: "medium", want: "1 of 122 resources match"},
			{kind: "Secret", want: "1 of 122 resources match"},
			{namespace: "team-3", text: "REPLICAS app-1", want: "7 of 122 resources match"},
			{text: "data.mode", namespace: "team-2", want: "30 of 122 resources match"},
			{text: "nothing has this", want: "0 of 122 resources match"},
			{text: "modes/replicas", severity: "low", want: "60 of 122 resources match"},
		} {
			for id, label := range map[string]string{"policy": tt.policy, "namespace": tt.namespace, "kind": tt.kind, "severity": tt.severity} {
				if label != "" {
					r.choose(id, label)
				}
			}
			if tt.text != "" {
				r.must(r.Run(nil, "document.getElementById('text').focus()"))
				r.must(r.Press(strings.Split(tt.text, "")...))
			}
			if got := r.shown(); got != tt.want {
				t.Errorf("%+v: %q", tt, got)
			}
			reset()
			if got := r.shown(); got != "122 resources, the first 100 are listed" {
				t.Fatalf("%q after the filters are cleared", got)
			}
		}
		// The list goes on where it ended.
		r.must(r.Run(nil, "document.getElementById('more').click()"))
		if got := r.shown(); got != "122 resources" || len(r.names()) != 122 {
			t.Errorf("%q and %d are listed", got, len(r.names()))
		}
		if got := r.focused(); !strings.Contains(got, "Secret/password") && !strings.Contains(got, "SUMMARY") {
			t.Errorf("%s has the focus, want the first of those that came", got)
		}
		// A link keeps the filters.
		r.choose("kind", "Secret")
		r.choose("policy", "labels")
		address := r.text("return location.href")
		r.must(r.Open("about:blank"))
		r.must(r.Open(address))
		if d := cmp.Diff([]string{"team-0/Secret/password"}, r.names()); d != "" {
			t.Errorf("%s shows (-want +got):\n%s", address, d)
		}
		// So does a change of the address.
		r.must(r.Run(nil, "location.hash = '#severity=medium'; return new Promise(done => addEventListener('hashchange', () => setTimeout(done), {once: true}))"))
		if d := cmp.Diff([]string{"team-0/NetworkPolicy/deny"}, r.names()); d != "" {
			t.Errorf("another address shows (-want +got):\n%s", d)
		}
		// The summary chooses a policy.
		r.must(r.Run(nil, "[...document.querySelectorAll('#policies button')].find(b => b.textContent === 'defaults').click()"))
		reset()
		r.must(r.Run(nil, "[...document.querySelectorAll('#policies button')].find(b => b.textContent === 'defaults').click()"))
		if d := cmp.Diff([]string{"team-0/NetworkPolicy/deny"}, r.names()); d != "" {
			t.Errorf("the policy shows (-want +got):\n%s", d)
		}
	})

	// What stands side by side, line by line, with the rule beside its field.
	t.Run("side by side", func(t *testing.T) {
		r := open(t, 1280, 900, false)
		rows := func(name string) string {
			r.must(r.Run(nil, `
				const details = [...document.querySelectorAll('#list details')].find(d => d.querySelector('h3').textContent === arguments[0]);
				if (!details) throw new Error('no ' + arguments[0]);
				details.open = true;
				return new Promise(done => setTimeout(done, 0))`, name))
			return r.text(`
				const details = [...document.querySelectorAll('#list details')].find(d => d.querySelector('h3').textContent === arguments[0]);
				const table = details.querySelector('.yaml');
				if (!table) return details.querySelector('.inside > p').textContent + '\n';
				return [...table.querySelectorAll('tbody tr')].map(tr => tr.cells.length === 1 ? '(' + tr.textContent + ')' : [...tr.cells].map(c => c.textContent).join('|').trimEnd()).join('\n') + '\n'`, name)
		}
		const configMap = `1|apiVersion: v1|1|apiVersion: v1|
2|kind: ConfigMap|2|kind: ConfigMap|
3|metadata:|3|metadata:|
4|  name: app-1|4|  name: app-1|
5|  namespace: team-1|5|  namespace: team-1|
6|data:|6|data:|
7|  text: "</script><img src=x onerror=alert(1)>\u2028"|7|  text: "</script><img src=x onerror=alert(1)>\u2028"|
8 -|removed:   a: b|||modes/mode
9|  c: d|8|  c: d|
10|  e: f|9|  e: f|
11|  g: h|10|  g: h|
12|  i: j|11|  i: j|
13|  k: l|12|  k: l|
14 -|removed:   mode: old|13 +|added:   mode: new|modes/mode
`
		if d := cmp.Diff(configMap, rows("team-1/ConfigMap/app-1")); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		want := []string{
			"|6 +|added:   labels:|labels/team", "7 -|removed:   replicas: 1 # " + hostile + "|9 +|added:   replicas: 3 # " + hostile + "|modes/replicas",
		}
		for _, line := range want {
			if got := rows("team-0/Deployment/app-0"); !strings.Contains(got, line) {
				t.Errorf("no %q in\n%s", line, got)
			}
		}
		r.choose("kind", "NetworkPolicy")
		if got := rows("team-0/NetworkPolicy/deny"); !strings.HasPrefix(got, "||1 +|added: apiVersion: networking.k8s.io/v1|defaults/deny\n") {
			t.Errorf("got\n%s", got)
		}
		r.choose("kind", "Secret")
		if got := rows("team-0/Secret/password"); got != "The YAML is not shown, because values of a Secret are in it.\n" {
			t.Errorf("got\n%s", got)
		}
		if got := r.text("return document.querySelector('#list .fields tbody').innerText"); !strings.Contains(got, "a&b <i>.yaml:") {
			t.Errorf("no file and line in %q", got)
		}
	})

	t.Run("nothing changes", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "none.html")
		var out bytes.Buffer
		if err := htmlpage.Write(&out, "nothing changes in 1 manifest", nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		r := reader{t, b}
		r.must(b.Open("file://" + file))
		said, err := r.Console()
		r.must(err)
		if len(said) > 0 || r.shown() != "No resource changes" {
			t.Errorf("%q, and the console has %q", r.shown(), said)
		}
	})

	// All of it without a mouse.
	t.Run("keyboard", func(t *testing.T) {
		r := open(t, 1280, 900, false)
		expect := func(want string) {
			t.Helper()
			if got := r.focused(); !strings.HasPrefix(got, want) {
				t.Fatalf("%q has the focus, want %q", got, want)
			}
		}
		r.must(r.Press(browser.Tab))
		expect("A Skip to the changes")
		r.must(r.Press(browser.Enter))
		expect("changes")
		r.must(r.Press(browser.Tab))
		expect("toggle")
		r.must(r.Press(browser.Tab))
		expect("SUMMARY team-0/Deployment/app-0")
		r.must(r.Press(browser.Down, browser.Down, browser.Up))
		expect("SUMMARY team-1/ConfigMap/app-1")
		r.must(r.Press(browser.Enter))
		if open := r.text("return String(document.activeElement.parentElement.open)"); open != "true" {
			t.Error("a resource does not open")
		}
		r.must(r.Press(browser.Tab))
		expect("DIV Fields of team-1/ConfigMap/app-1")
		r.must(r.Press(browser.Tab))
		expect("DIV YAML of team-1/ConfigMap/app-1 before and after")
		r.must(r.Chord(browser.Shift, browser.Tab))
		r.must(r.Chord(browser.Shift, browser.Tab))
		r.must(r.Press(browser.Space))
		if open := r.text("return String(document.activeElement.parentElement.open)"); open != "false" {
			t.Error("a resource does not close")
		}
		r.must(r.Press(browser.End))
		expect("SUMMARY team-") // the last
		r.must(r.Press(browser.Tab))
		expect("more")
		r.must(r.Press(browser.Enter))
		expect("SUMMARY team-1/ConfigMap/app-149")
		r.must(r.Press(browser.Home))
		expect("SUMMARY team-0/Deployment/app-0")
		// What has the focus is not below the filters, which stay on the screen.
		r.must(r.Press(browser.End))
		for range 30 {
			r.must(r.Press(browser.Up))
			if got := r.text(`
				const e = document.activeElement.getBoundingClientRect(), f = document.getElementById('filters').getBoundingClientRect();
				return e.top >= f.bottom && e.bottom <= innerHeight ? '' : e.top + ' to ' + e.bottom + ', and the filters end at ' + f.bottom`); got != "" {
				t.Fatalf("the focus is at %s", got)
			}
		}
		r.must(r.Press(browser.Home))
		// Back to the filters, and through them.
		r.must(r.Chord(browser.Shift, browser.Tab))
		expect("toggle")
		for _, id := range []string{"clear", "severity", "kind", "namespace", "policy", "text"} {
			r.must(r.Chord(browser.Shift, browser.Tab))
			expect(id)
		}
		r.must(r.Press(browser.Tab))
		r.must(r.Press("m")) // modes
		if got := r.shown(); !strings.HasPrefix(got, "120 of 122 ") {
			t.Errorf("%q for a policy chosen by its first letter", got)
		}
		for _, id := range []string{"namespace", "kind", "severity", "clear"} {
			r.must(r.Press(browser.Tab))
			expect(id)
		}
		r.must(r.Press(browser.Enter))
		if got := r.shown(); !strings.HasPrefix(got, "122 resources") {
			t.Errorf("%q when the filters are cleared", got)
		}
	})

	for _, dark := range []bool{false, true} {
		for _, width := range []int{1280, 320} {
			t.Run(fmt.Sprintf("accessible/%d/dark=%v", width, dark), func(t *testing.T) {
				r := open(t, width, 900, dark)
				back := r.text("return getComputedStyle(document.body).backgroundColor")
				if isDark := regexp.MustCompile(`rgb\((\d|[1-5]\d), `).MatchString(back); isDark != dark {
					t.Errorf("the background is %s", back)
				}
				r.must(r.Run(nil, `
					for (const d of [...document.querySelectorAll('#list details')].slice(0, 12)) d.open = true;
					return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))`))
				r.must(r.Press(browser.Tab)) // from now on the focus shows
				var faults []string
				script, err := os.ReadFile("accessible.js")
				r.must(err)
				r.must(r.Run(&faults, string(script)))
				for _, f := range faults {
					t.Error(f)
				}
				// The checks can fail.
				r.must(r.Run(nil, `
					const main = document.querySelector('main');
					const add = (tag, attributes, text) => {
						const e = document.createElement(tag);
						for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
						e.textContent = text;
						main.prepend(e);
						return e;
					};
					add('button', {id: 'more'}, '');
					add('input', {}, '');
					add('p', {}, 'pale').style.color = '#777';
					add('h5', {tabindex: '2'}, 'deep');
					add('p', {'aria-labelledby': 'nowhere'}, 'x');
					add('table', {}, '');
					add('img', {}, '');
					const box = add('div', {}, '');
					box.style.cssText = 'overflow: auto; width: 50px; height: 20px';
					box.append(add('p', {}, 'too wide for its box'));
					add('div', {}, 'x').style.width = '3000px';`))
				r.must(r.Run(&faults, string(script)))
				for _, want := range []string{"id more", "button without a name", "input without a name", "contrast", "h5", "tabindex", "aria-labelledby", "table without", "img without", "scrolls", "wider than the window"} {
					if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, want) }) {
						t.Errorf("the check for %q finds nothing: %q", want, faults)
					}
				}
			})
		}
	}

	// Should a script ever get into the page, it reaches nobody. This comes last:
	// what is refused stands in the console.
	t.Run("reaches nobody", func(t *testing.T) {
		var hits atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
		defer server.Close()
		r := open(t, 1280, 900, false)
		got := r.text(`
			const url = arguments[0];
			const tries = {
				fetch: () => fetch(url),
				beacon: () => { if (!navigator.sendBeacon(url)) throw 0; return new Promise(() => {}); },
				socket: () => new Promise((yes, no) => { const s = new WebSocket(url.replace('http', 'ws')); s.onopen = yes; s.onerror = no; }),
				image: () => new Promise((yes, no) => { const i = new Image(); i.onload = yes; i.onerror = no; i.src = url; }),
				style: () => new Promise((yes, no) => { const l = document.createElement('link'); l.rel = 'stylesheet'; l.onload = yes; l.onerror = no; l.href = url; document.head.append(l); }),
				frame: () => new Promise((yes, no) => { const f = document.createElement('iframe'); f.src = url; document.body.append(f); setTimeout(no, 300); }),
				script: () => { const s = document.createElement('script'); s.src = url; },
				eval: () => new Promise((yes, no) => setTimeout(() => { try { yes((0, eval)('1')); } catch { no(); } })), // later, because a driver may
				html: () => { document.body.innerHTML = '<b>x</b>'; },
				inline: () => new Promise((yes, no) => { document.body.setAttribute('onclick', 'window.ran = true'); document.body.click(); window.ran ? yes() : no(); }),
			};
			const late = new Promise((_, no) => setTimeout(no, 2000));
			return Promise.all(Object.entries(tries).map(async ([name, go]) => {
				try { await Promise.race([go(), late]); return name; } catch { return ''; }
			})).then(done => JSON.stringify(done.filter(Boolean)))`, server.URL)
		var did []string
		r.must(json.Unmarshal([]byte(got), &did))
		if len(did) > 0 || hits.Load() > 0 {
			t.Errorf("the page can %q, and the server was asked %d times", did, hits.Load())
		}
	})
}
