package tests

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// needs skips where a program is missing that a runner of CI has.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// An action is what action.yml says.
type action struct {
	Name, Description string
	Branding          map[string]string
	Inputs            map[string]struct {
		Description string
		Required    bool
		Default     string
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Shell, Run   string
			WorkingDirectory string `json:"working-directory"`
			Env              map[string]string
		}
	}
}

func theAction(t *testing.T) action {
	t.Helper()
	var a action
	if err := yaml.UnmarshalStrict([]byte(read(t, "../action/action.yml")), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

var inputOf = regexp.MustCompile(`^\$\{\{ inputs\.([a-z-]+) \}\}$`)

// TestAction: every input is described, documented, handed to a script, and used
// there; none is written into a command.
func TestAction(t *testing.T) {
	a := theAction(t)
	used := map[string]bool{}
	for _, step := range a.Runs.Steps {
		if step.Shell != "bash" || strings.Contains(step.Run, "${{") {
			t.Errorf("shell %q runs %q: inputs come by the environment", step.Shell, step.Run)
		}
		script := regexp.MustCompile(`^bash "\$GITHUB_ACTION_PATH/([a-z]+\.sh)"$`).FindStringSubmatch(step.Run)
		if script == nil {
			t.Fatalf("a step runs %q", step.Run)
		}
		text := read(t, "../action/"+script[1])
		names := regexp.MustCompile(`INPUT_[A-Z_]+`).FindAllString(text, -1)
		slices.Sort(names)
		if diff := cmp.Diff(slices.Compact(names), slices.Sorted(maps.Keys(step.Env))); diff != "" {
			t.Errorf("variables (-%s +action.yml)\n%s", script[1], diff)
		}
		for name, value := range step.Env {
			m := inputOf.FindStringSubmatch(value)
			if m == nil || "INPUT_"+strings.ToUpper(strings.ReplaceAll(m[1], "-", "_")) != name {
				t.Errorf("%s is %q", name, value)
				continue
			}
			used[m[1]] = true
		}
		if m := inputOf.FindStringSubmatch(step.WorkingDirectory); m != nil {
			used[m[1]] = true
		}
		if _, ok := step.Env["INPUT_TOKEN"]; ok && step.Env["INPUT_RENDER"] != "" {
			t.Error("what renders has the token")
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(a.Inputs)), slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("inputs (-declared +used)\n%s", diff)
	}
	page := read(t, "../docs/with-ci.md")
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(page, -1) {
		for _, name := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, name[1])
		}
	}
	slices.Sort(documented)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(a.Inputs)), documented); diff != "" {
		t.Errorf("inputs (-action.yml +docs/with-ci.md)\n%s", diff)
	}
	for name, in := range a.Inputs {
		if in.Description == "" {
			t.Errorf("input %s has no description", name)
		}
	}
	for name, out := range a.Outputs {
		if out.Description == "" || !strings.Contains(page, "`"+name+"`") || !strings.Contains(read(t, "../action/diff.sh"), name+"=%s") {
			t.Errorf("output %s is not described, documented and written", name)
		}
	}
}

func TestShellcheck(t *testing.T) {
	needs(t, "shellcheck")
	for _, pattern := range []string{"../action/*.sh", "../examples/*.sh", "../.ci/run"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		if out, err := exec.Command("shellcheck", files...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// A forge stands in for the API of GitHub: as much of it as the action uses.
type forge struct {
	mu       sync.Mutex
	comments []comment
	asked    []string          // methods and paths
	sarif    map[string]string // the last upload to code scanning
	refuse   int               // status of all that writes, if not 0
	failOn   string            // "METHOD path" that answers 422
}

type comment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
	User struct {
		Login string `json:"login"`
	} `json:"user"`
}

func (f *forge) add(login, body string) {
	c := comment{ID: 100 + len(f.comments), Body: body}
	c.User.Login = login
	f.comments = append(f.comments, c)
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	request := r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), "/repos/shop/manifests/")
	f.asked = append(f.asked, request)
	answer := func(status int, v any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	var in map[string]string
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/json" {
			answer(http.StatusBadRequest, map[string]any{"message": "no JSON"})
			return
		}
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer secret-token":
		answer(http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
	case f.failOn == request:
		answer(http.StatusUnprocessableEntity, map[string]any{"message": "no"})
	case r.Method != http.MethodGet && f.refuse != 0:
		answer(f.refuse, map[string]any{"message": "Resource not accessible by integration"})
	case strings.HasPrefix(request, "GET issues/7/comments?per_page=100&page="):
		page, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil || page < 1 {
			answer(http.StatusBadRequest, nil)
			return
		}
		from := min((page-1)*100, len(f.comments))
		answer(http.StatusOK, append([]comment{}, f.comments[from:min(from+100, len(f.comments))]...))
	case request == "POST issues/7/comments":
		f.add("github-actions[bot]", in["body"])
		answer(http.StatusCreated, map[string]any{})
	case strings.HasPrefix(request, "PATCH issues/comments/"):
		id, _ := strconv.Atoi(strings.TrimPrefix(request, "PATCH issues/comments/"))
		for i := range f.comments {
			if f.comments[i].ID == id {
				f.comments[i].Body = in["body"]
				answer(http.StatusOK, map[string]any{})
				return
			}
		}
		answer(http.StatusNotFound, map[string]any{})
	case request == "POST code-scanning/sarifs":
		f.sarif = in
		answer(http.StatusAccepted, map[string]any{})
	default:
		answer(http.StatusNotFound, map[string]any{})
	}
}

// wrote lists what was asked for besides reading.
func (f *forge) wrote() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []string{}
	for _, a := range f.asked {
		if !strings.HasPrefix(a, "GET ") {
			out = append(out, a)
		}
	}
	f.asked = nil
	return out
}

// A job runs the steps of the action as a runner does.
type job struct {
	forge *forge
	dir   string // of the repository
	env   []string
}

func newJob(t *testing.T, event string) *job {
	t.Helper()
	needs(t, "bash", "curl", "jq", "gzip", "base64", "od")
	f := &forge{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	dir, temp := t.TempDir(), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/argocd-demo")); err != nil {
		t.Fatal(err)
	}
	payload := `{}`
	if event != "push" {
		payload = `{"pull_request": {"number": 7, "head": {"sha": "0123456789abcdef0123456789abcdef01234567"}}}`
	}
	if err := os.WriteFile(filepath.Join(temp, "event.json"), []byte(payload), 0o600); err != nil {
		t.Fatal(err)
	}
	actionPath, err := filepath.Abs("../action")
	if err != nil {
		t.Fatal(err)
	}
	return &job{forge: f, dir: dir, env: append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "http") }),
		"GITHUB_ACTION_PATH="+actionPath, "GITHUB_API_URL="+server.URL, "GITHUB_SERVER_URL=https://github.example.com",
		"GITHUB_REPOSITORY=shop/manifests", "GITHUB_RUN_ID=42", "GITHUB_EVENT_NAME="+event,
		"GITHUB_EVENT_PATH="+filepath.Join(temp, "event.json"), "GITHUB_SHA=feedfacefeedfacefeedfacefeedfacefeedface", "GITHUB_REF=refs/pull/7/merge",
		"RUNNER_TEMP="+temp, "NO_PROXY=127.0.0.1")}
}

// run gives back the exit code of the job, what it prints, the summary and the outputs.
func (j *job) run(t *testing.T, with map[string]string) (code int, printed, summary, outputs string) {
	t.Helper()
	// What the test and the server do with the forge come one after the other, but only
	// by way of another process, which the race detector does not see.
	meet := func() { j.forge.mu.Lock(); j.forge.mu.Unlock() } //nolint:staticcheck // nothing to do inside
	meet()
	defer meet()
	a := theAction(t)
	input := func(expression string) string {
		m := inputOf.FindStringSubmatch(expression)
		if m == nil {
			return expression
		}
		if v, ok := with[m[1]]; ok {
			return v
		}
		if d := a.Inputs[m[1]].Default; d != "${{ github.token }}" {
			return d
		}
		return "secret-token"
	}
	for name := range with {
		if _, ok := a.Inputs[name]; !ok {
			t.Errorf("the action has no input %q", name)
		}
	}
	files := t.TempDir()
	var out bytes.Buffer
	for _, step := range a.Runs.Steps {
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		cmd.Dir = filepath.Join(j.dir, input(step.WorkingDirectory))
		cmd.Env = append(slices.Clone(j.env), "GITHUB_OUTPUT="+files+"/output", "GITHUB_STEP_SUMMARY="+files+"/summary")
		for name, value := range step.Env {
			cmd.Env = append(cmd.Env, name+"="+input(value))
		}
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			code = cmd.ProcessState.ExitCode()
			break
		}
	}
	slurp := func(name string) string {
		data, err := os.ReadFile(filepath.Join(files, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(data)
	}
	return code, out.String(), slurp("summary"), slurp("output")
}

var demo = map[string]string{
	"policies": "policies\n", "manifests": "base/web.yaml\nbase/notifier.yaml\n", "lock": "images.lock.yaml", "program": "oneloop",
}

func with(more ...string) map[string]string {
	out := maps.Clone(demo)
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

// TestActionComments: one comment, which later runs update.
func TestActionComments(t *testing.T) {
	j := newJob(t, "pull_request")
	j.forge.add("mallory", "<!-- oneloop: oneloop -->\nnot written by the action")
	for i := range 130 { // on the second page
		j.forge.add("alice", fmt.Sprintf("comment %d", i))
	}
	code, printed, summary, outputs := j.run(t, demo)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, printed)
	}
	if diff := cmp.Diff([]string{"POST issues/7/comments"}, j.forge.wrote()); diff != "" {
		t.Errorf("the first run (-want +got)\n%s", diff)
	}
	body := j.forge.comments[131].Body
	if body != summary {
		t.Errorf("comment and summary (-comment +summary)\n%s", cmp.Diff(body, summary))
	}
	for _, want := range []string{
		"<!-- oneloop: oneloop -->\n### ", "shop/Deployment/web", "no-token/autogen-disable-automount",
		"\nCommit 0123456789ab, [run](https://github.example.com/shop/manifests/actions/runs/42).\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if !strings.HasPrefix(outputs, "changed=true\nmarkdown=") {
		t.Errorf("outputs %q", outputs)
	}
	if strings.Contains(printed, "secret-token") {
		t.Errorf("the token is printed\n%s", printed)
	}

	// The same comment, also when nothing changes any more.
	if code, printed, _, outputs = j.run(t, with("manifests", "base/notifier.yaml")); code != 0 || !strings.HasPrefix(outputs, "changed=false\n") {
		t.Errorf("exit code %d, outputs %q\n%s", code, outputs, printed)
	}
	if diff := cmp.Diff([]string{"PATCH issues/comments/231"}, j.forge.wrote()); diff != "" {
		t.Errorf("the second run (-want +got)\n%s", diff)
	}
	if body := j.forge.comments[131].Body; !strings.Contains(body, "change nothing") {
		t.Errorf("the comment is\n%s", body)
	}
	// Another name is another comment.
	if code, printed, _, _ := j.run(t, with("name", "overlays/prod")); code != 0 {
		t.Errorf("exit code %d\n%s", code, printed)
	}
	if diff := cmp.Diff([]string{"POST issues/7/comments"}, j.forge.wrote()); diff != "" {
		t.Errorf("another name (-want +got)\n%s", diff)
	}
	if strings.Contains(j.forge.comments[0].Body, "change nothing") || len(j.forge.comments) != 133 {
		t.Errorf("%d comments, of which the first is\n%s", len(j.forge.comments), j.forge.comments[0].Body)
	}
}

func TestActionWithoutChanges(t *testing.T) {
	j := newJob(t, "pull_request")
	code, printed, summary, _ := j.run(t, with("manifests", "base/notifier.yaml", "exit-code", "true"))
	if code != 0 || len(j.forge.wrote()) != 0 || !strings.Contains(summary, "change nothing") {
		t.Errorf("exit code %d, %d comments, summary %q\n%s", code, len(j.forge.comments), summary, printed)
	}
}

func TestActionFails(t *testing.T) {
	for name, tt := range map[string]struct {
		event string
		with  map[string]string
		fault func(t *testing.T, j *job)
		code  int
		want  string // in what is printed
	}{
		"changes": {with: with("exit-code", "true"), code: 2, want: "manifests changed"},
		"a missing digest": {with: demo, code: 4, want: "shop/web:1.4.3", fault: func(t *testing.T, j *job) {
			file := filepath.Join(j.dir, "base/web.yaml")
			replace(t, file, read(t, file), "shop/web:1.4.2", "shop/web:1.4.3")
		}},
		"a renderer that fails half-way": {with: with("manifests", "", "render", "cat base/web.yaml; false"), code: 1},
		"a renderer that prints nothing": {with: with("manifests", "", "render", "true | cat"), code: 1, want: "standard input holds no manifests"},
		"no policies":                    {with: with("policies", "\n"), code: 1, want: "no policies"},
		"both":                           {with: with("render", "cat base/web.yaml"), code: 1, want: "both render and manifests"},
		"neither":                        {with: with("manifests", ""), code: 1, want: "neither render nor manifests"},
		"a name":                         {with: with("name", "a --> b"), code: 1, want: "name is not"},
		"a switch":                       {with: with("exit-code", "yes"), code: 1, want: "INPUT_EXIT_CODE is neither true nor false"},
		"code scanning without files":    {with: with("manifests", "", "render", "cat base/web.yaml", "sarif", "true"), code: 1, want: "give manifests and not render"},
		"pull_request_target":            {event: "pull_request_target", with: demo, code: 1, want: "use on: pull_request"},
		"a token that is wrong":          {with: with("token", "wrong"), code: 1, want: "the API answers 401"},
		"an API that fails": {with: demo, code: 1, want: "the API answers 422", fault: func(_ *testing.T, j *job) {
			j.forge.failOn = "POST issues/7/comments"
		}},
		"commands in what is printed": {with: with("manifests", "", "render", "sh render.sh"), code: 1, want: "::add-mask::web", fault: func(t *testing.T, j *job) {
			if err := os.WriteFile(filepath.Join(j.dir, "render.sh"), []byte("echo '::add-mask::web' >&2\nexit 1\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			event := tt.event
			if event == "" {
				event = "pull_request"
			}
			j := newJob(t, event)
			if tt.fault != nil {
				tt.fault(t, j)
			}
			code, printed, _, _ := j.run(t, tt.with)
			if code != tt.code || !strings.Contains(printed, tt.want) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, tt.code, tt.want, printed)
			}
			if at := strings.Index(printed, "::add-mask::"); at >= 0 {
				m := regexp.MustCompile(`(?s)^::stop-commands::([0-9a-f]{32})\n.*\n::([0-9a-f]{32})::\n`).FindStringSubmatch(printed)
				if m == nil || m[1] != m[2] || at > strings.Index(printed, "::"+m[1]+"::") {
					t.Errorf("the runner would take a line for a command\n%s", printed)
				}
			}
		})
	}
}

// TestActionTellsOfFailure: an earlier comment does not stay as if it held.
func TestActionTellsOfFailure(t *testing.T) {
	j := newJob(t, "pull_request")
	if code, printed, _, _ := j.run(t, demo); code != 0 {
		t.Fatalf("exit code %d\n%s", code, printed)
	}
	j.forge.wrote()
	file := filepath.Join(j.dir, "base/web.yaml")
	replace(t, file, read(t, file), "shop/web:1.4.2", "shop/web:1.4.3</pre><b>")
	if code, printed, _, _ := j.run(t, demo); code == 0 {
		t.Errorf("exit code 0\n%s", printed)
	}
	if diff := cmp.Diff([]string{"PATCH issues/comments/100"}, j.forge.wrote()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	body := j.forge.comments[0].Body
	if !strings.Contains(body, "could not be applied") || !strings.Contains(body, "&lt;/pre&gt;&lt;b&gt;") || strings.Count(body, "</pre>") != 1 {
		t.Errorf("the comment is\n%s", body)
	}
}

// TestActionFromFork: a token that may not write leaves the summary.
func TestActionFromFork(t *testing.T) {
	j := newJob(t, "pull_request")
	j.forge.refuse = http.StatusForbidden
	code, printed, summary, _ := j.run(t, with("sarif", "true"))
	if code != 0 || !strings.Contains(summary, "shop/Deployment/web") || strings.Count(printed, "\n::warning::") != 2 {
		t.Errorf("exit code %d, summary %q\n%s", code, summary, printed)
	}
}

func TestActionWithoutPullRequest(t *testing.T) {
	j := newJob(t, "push")
	code, printed, summary, _ := j.run(t, demo)
	if code != 0 || len(j.forge.asked) != 0 || !strings.Contains(summary, "Commit feedfacefeed,") {
		t.Errorf("exit code %d, asked %q, summary %q\n%s", code, j.forge.asked, summary, printed)
	}
}

func TestActionCodeScanning(t *testing.T) {
	j := newJob(t, "pull_request")
	code, printed, _, _ := j.run(t, with("sarif", "true", "comment", "false", "name", "prod"))
	if diff := cmp.Diff([]string{"POST code-scanning/sarifs"}, j.forge.wrote()); code != 0 || diff != "" {
		t.Fatalf("exit code %d\n%s\n%s", code, printed, diff)
	}
	if got := j.forge.sarif["commit_sha"] + " " + j.forge.sarif["ref"]; got != "feedfacefeedfacefeedfacefeedfacefeedface refs/pull/7/merge" {
		t.Errorf("it is of %s", got)
	}
	packed, err := base64.StdEncoding.DecodeString(j.forge.sarif["sarif"])
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"version":"2.1.0"`, `"uri":"base/web.yaml"`, `"automationDetails":{"id":"oneloop/prod/"}`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in\n%s", want, data)
		}
	}
}

// TestActionBuildsItself: without a program the action builds what it came with.
func TestActionBuildsItself(t *testing.T) {
	j := newJob(t, "push")
	code, printed, summary, _ := j.run(t, with("program", ""))
	if code != 0 || !strings.Contains(summary, "shop/Deployment/web") {
		t.Errorf("exit code %d, summary %q\n%s", code, summary, printed)
	}
}

// TestCIOfTheDocs runs the action with the inputs that the page shows, and the
// commands of the job for GitLab.
func TestCIOfTheDocs(t *testing.T) {
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/with-ci.md"), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) != 2 {
		t.Fatalf("the page shows %d blocks of YAML", len(blocks))
	}
	j := newJob(t, "pull_request")
	bin := t.TempDir()
	// What kustomize prints of the example is not what is tested here.
	if err := os.WriteFile(filepath.Join(bin, "kustomize"), []byte("#!/bin/sh\ntest \"$1 $2\" = 'build base' && cat base/web.yaml\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")
	j.env = append(j.env, path)

	var workflow struct {
		Name, On    string
		Permissions map[string]string
		Jobs        map[string]struct {
			RunsOn  string `json:"runs-on"`
			Timeout int    `json:"timeout-minutes"`
			Steps   []struct {
				Uses string
				With map[string]any
			}
		}
	}
	// The reader takes the bare key for a boolean, as YAML 1.1 does.
	if err := yaml.UnmarshalStrict([]byte(strings.Replace(blocks[0], "\non:", "\n\"on\":", 1)), &workflow); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"contents": "read", "pull-requests": "write"}, workflow.Permissions); diff != "" {
		t.Errorf("permissions (-needed +shown)\n%s", diff)
	}
	steps := workflow.Jobs["diff"].Steps
	uses, _, _ := strings.Cut(steps[len(steps)-1].Uses, "@")
	if _, err := os.Stat(filepath.Join("..", strings.TrimPrefix(uses, "oneloop-dev/oneloop/"), "action.yml")); err != nil {
		t.Error(err)
	}
	given := map[string]string{"program": "oneloop"}
	for name, value := range steps[len(steps)-1].With {
		given[name] = fmt.Sprint(value)
	}
	if code, printed, summary, _ := j.run(t, given); code != 0 || !strings.Contains(summary, "shop/Deployment/web") {
		t.Errorf("exit code %d, summary %q\n%s", code, summary, printed)
	}

	var gitlab map[string]struct {
		Script []string
	}
	if err := yaml.Unmarshal([]byte(blocks[1]), &gitlab); err != nil {
		t.Fatal(err)
	}
	var note string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/projects/3/merge_requests/9/notes" || r.Header.Get("Private-Token") != "token" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		note = r.FormValue("body")
		w.WriteHeader(http.StatusCreated)
	}))
	defer server.Close()
	cmd := exec.Command("bash", "-eo", "pipefail", "-c", strings.Join(gitlab["policies"].Script, "\n"))
	cmd.Dir = j.dir
	cmd.Env = append(slices.Clone(j.env), "CI_API_V4_URL="+server.URL, "CI_PROJECT_ID=3", "CI_MERGE_REQUEST_IID=9", "NOTES_TOKEN=token")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(note, "shop/Deployment/web") {
		t.Errorf("%v\n%s\nnote: %s", err, out, note)
	}
	if junit := read(t, filepath.Join(j.dir, "junit.xml")); !strings.Contains(junit, "<testsuite") {
		t.Errorf("junit.xml: %s", junit)
	}
}
