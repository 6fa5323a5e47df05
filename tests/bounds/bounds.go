// Package bounds makes a fuzz target fail on an input that takes too long or
// too much memory, where the fuzzer itself would only wait or be killed.
package bounds

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// maxTime is far above what an input of a fuzzer needs, also on a busy
	// machine.
	maxTime = 10 * time.Second
	// maxHeap is far above what the budgets of the product let through.
	maxHeap = 1 << 30
)

// started is when the input under test began, in nanoseconds; 0 between two.
var started atomic.Int64

// watch looks on from aside, because a runaway never returns. It panics: only
// the end of the process makes the fuzzer keep the input.
var watch = sync.OnceFunc(func() {
	debug.SetMemoryLimit(maxHeap / 2) // collect early, so that the heap is what is in use
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			since := started.Load()
			if since == 0 {
				continue
			}
			if took := time.Since(time.Unix(0, since)); took > maxTime {
				panic(fmt.Sprintf("the input takes more than %v", maxTime))
			}
			if metrics.Read(heap); heap[0].Value.Uint64() > maxHeap {
				panic(fmt.Sprintf("the input takes more than %d MiB", maxHeap>>20))
			}
		}
	}()
})

// Hold bounds the rest of the test, which is one input of a fuzz target that
// runs alone in its process.
func Hold(t *testing.T) {
	t.Helper()
	watch()
	started.Store(time.Now().UnixNano())
	t.Cleanup(func() { started.Store(0) })
}
