package cli

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// lookAhead asks the registries for what the policies are going to ask for, many
// references at once, as rules ask for one after the other. Dry runs over copies
// of the items tell which they are.
func (p plan) lookAhead(ctx context.Context, s *streams, set policy.Set, items []*resource.Resource) {
	rehearse := func(r digest.Resolver) {
		dry := p
		dry.digests, dry.keepGoing, dry.encode = r, true, nil
		items := copies(items)
		_, _ = pipeline.Apply(ctx, items, dry.options(set, items)) // the real run reports
	}
	digest.Ahead(ctx, p.atHand, p.digests, rehearse, func(questions []digest.Question) {
		progress := newProgress(s.err, "looking up", len(questions))
		defer progress.end()
		var group errgroup.Group
		group.SetLimit(maxRequests)
		for _, q := range questions {
			group.Go(func() error {
				q.Ask(ctx, p.digests)
				progress.step(q.Ref.Name())
				return nil
			})
		}
		_ = group.Wait() // its functions return nil
	})
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
