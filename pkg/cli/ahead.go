package cli

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// lookAhead asks the registries for what the policies are going to ask for, many
// references at once, as rules ask for one after the other. Dry runs over copies
// of the items tell which they are. The last answers may still come in when it
// returns; stop waits for who asks, and no longer than need be.
func (p plan) lookAhead(ctx context.Context, s *streams, set policy.Set, items []*resource.Resource) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	rehearse := func(r digest.Resolver) {
		dry := p
		dry.digests, dry.keepGoing, dry.encode, dry.verification = r, true, nil, verification{}
		items := copies(items) // background rules still write
		opts := dry.options(set, items)
		opts.DryRun = true
		_, _ = pipeline.Apply(ctx, items, opts) // the real run reports
	}
	digest.Ahead(ctx, p.atHand, p.digests, rehearse, func(questions []digest.Question, last bool) {
		progress := newProgress(s.err, "looking up", len(questions))
		asking.Go(func() {
			defer progress.end()
			var group errgroup.Group
			group.SetLimit(maxRequests)
			for _, q := range questions {
				group.Go(func() error {
					if ctx.Err() == nil {
						q.Ask(ctx, p.digests)
					}
					progress.step(q.Ref.Name())
					return nil
				})
			}
			_ = group.Wait() // its functions return nil
		})
		if !last {
			asking.Wait()
		}
	})
	return func() {
		cancel()
		asking.Wait()
	}
}

// copies lets a dry run change resources, and keeps the originals as they were.
func copies(items []*resource.Resource) []*resource.Resource {
	out := make([]*resource.Resource, len(items))
	for i, r := range items {
		asRead := *r
		out[i] = &asRead
	}
	return out
}
