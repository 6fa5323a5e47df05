package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	progressAfter = 500 * time.Millisecond // what takes less shows none
	progressEvery = 100 * time.Millisecond
	progressWidth = 79 // characters; a line that wraps can't be taken back
)

// A progress shows on a terminal how far a long run is, in one line that goes
// away at the end. Elsewhere it shows nothing.
type progress struct {
	w    io.Writer
	what string
	all  int

	mu   sync.Mutex
	done int
	last string

	stop    chan struct{} // nil: not on a terminal
	stopped sync.WaitGroup
}

// newProgress starts to show how many of all things are done. It is ended by end.
func newProgress(w io.Writer, what string, all int) *progress {
	p := &progress{w: w, what: what, all: all}
	if f, ok := w.(*os.File); ok && interactive(f) {
		p.start()
	}
	return p
}

func (p *progress) start() {
	p.stop = make(chan struct{})
	p.stopped.Go(func() {
		select {
		case <-p.stop:
			return
		case <-time.After(progressAfter):
		}
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			fmt.Fprint(p.w, "\r\x1b[K"+p.line())
			select {
			case <-p.stop:
				fmt.Fprint(p.w, "\r\x1b[K")
				return
			case <-tick.C:
			}
		}
	})
}

func (p *progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := []rune(fmt.Sprintf("%s %d/%d %s", p.what, p.done, p.all, p.last))
	return string(text[:min(len(text), progressWidth)])
}

// shows reports whether anybody sees it.
func (p *progress) shows() bool { return p.stop != nil }

// step counts the thing that name names as done.
func (p *progress) step(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.last = name
}

// at says how many are done, and which is under way.
func (p *progress) at(done int, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.last = done, name
}

// end takes the line away.
func (p *progress) end() {
	if p.stop != nil {
		close(p.stop)
		p.stopped.Wait()
	}
}
