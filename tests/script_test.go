package tests

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/oneloop-dev/oneloop/pkg/cli"
)

var update = flag.Bool("update", false, "rewrite the expectations of scripts and examples")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"oneloop": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScript runs the program as its users do. Each file of script/ shows one
// behaviour: the commands, then the files they read and what comes out.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    exits,
			"unescape": unescape,
			"repeat":   repeat,
			"count":    count,
		},
	})
}

// exits CODE PROGRAM [ARG]... runs a program and requires its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, expected %d", got, want)
	}
}

// unescape FILE... replaces \r, \xff and the other escapes of Go strings, for
// bytes that a script can't hold as they are.
func unescape(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		var out strings.Builder
		for line := range strings.Lines(ts.ReadFile(file)) {
			text := strings.ReplaceAll(strings.TrimSuffix(line, "\n"), `"`, `\"`)
			text, err := strconv.Unquote(`"` + text + `"`)
			ts.Check(err)
			out.WriteString(text + "\n")
		}
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(out.String()), 0o644))
	}
}

// repeat N FILE OUT writes FILE N times, each time with its number, counted
// from 0, for NUMBER.
func repeat(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: repeat N FILE OUT")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := ts.ReadFile(args[1])
	var out strings.Builder
	for i := range n {
		out.WriteString(strings.ReplaceAll(text, "NUMBER", fmt.Sprint(i)))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(out.String()), 0o644))
}

// count N TEXT FILE requires that FILE, which may be stdout or stderr, holds
// TEXT N times.
func count(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: count N TEXT FILE")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[2]), args[1]); got != want {
		ts.Fatalf("%s holds %q %d times, expected %d", args[2], args[1], got, want)
	}
}
