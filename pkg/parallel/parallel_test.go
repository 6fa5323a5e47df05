package parallel_test

import (
	"sync/atomic"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/parallel"
)

func TestEach(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 1000} {
		for _, batch := range []int{1, 16} {
			calls := make([]atomic.Int32, n)
			parallel.Each(n, batch, func(i int) { calls[i].Add(1) })
			for i := range calls {
				if got := calls[i].Load(); got != 1 {
					t.Fatalf("n %d, batch %d: %d calls for %d", n, batch, got, i)
				}
			}
		}
	}
}
