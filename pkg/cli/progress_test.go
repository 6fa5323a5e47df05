package cli

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A screen is a terminal that can be looked at while somebody writes to it.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out screen
		p := &progress{w: &out, what: "applying policies to", all: 3}
		p.start()
		p.step("Deployment shop/api")
		time.Sleep(progressAfter - time.Millisecond)
		synctest.Wait()
		if got := out.String(); got != "" {
			t.Errorf("a short run shows %q", got)
		}
		time.Sleep(progressEvery)
		synctest.Wait()
		if got, want := out.String(), "\r\x1b[Kapplying policies to 1/3 Deployment shop/api"; got != want {
			t.Errorf("a long run shows %q, want %q", got, want)
		}
		p.step("ConfigMap shop/" + strings.Repeat("ü", 200))
		time.Sleep(progressEvery)
		p.end()
		written := out.String()
		lines := strings.Split(strings.TrimSuffix(written, "\r\x1b[K"), "\r\x1b[K")
		if last := []rune(lines[len(lines)-1]); len(last) != progressWidth || !strings.HasPrefix(string(last), "applying policies to 2/3 ConfigMap") {
			t.Errorf("a long name shows as %q", string(last))
		}
		if !strings.HasSuffix(written, "\r\x1b[K") {
			t.Errorf("the line stays: %q", written)
		}
	})
}

func TestProgressIsForTerminals(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out bytes.Buffer
	for _, p := range []*progress{newProgress(&out, "pushing", 1), newProgress(null, "pushing", 1)} {
		if p.shows() {
			t.Errorf("%T shows a progress", p.w)
		}
		p.step("it")
		p.end()
	}
}
