package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// A progress shows on a terminal how far a long run is, in one line that goes
// away at the end. Elsewhere it shows nothing.
type progress struct {
	w          io.Writer
	what       string
	done, all  int
	mu         sync.Mutex
	onTerminal bool
}

func newProgress(w io.Writer, what string, all int) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, what: what, all: all, onTerminal: ok && interactive(f)}
}

// step counts one thing as done.
func (p *progress) step(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.onTerminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s %d/%d %s", p.what, p.done, p.all, name)
	}
}

func (p *progress) end() {
	if p.onTerminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
