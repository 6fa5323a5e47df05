package facts_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// What an error says to paste is taken as facts.
func TestMissingSaysWhatToPaste(t *testing.T) {
	for name, err := range map[string]error{
		"user":      facts.MissingUser("request.userInfo"),
		"namespace": facts.New().MissingNamespace("match", "shop"),
		"time":      facts.MissingTime("time.now()"),
		"object":    facts.MissingObject("the target", "apps/v1/Deployment", "shop", "web"),
		"cluster":   facts.MissingObject("the target", "v1/Node", "", "a"),
		"call":      facts.MissingCall("GET", "/api/v1/pods", nil),
		"post":      facts.MissingCall("POST", "https://example.com", map[string]any{"a": "b"}),
		"global":    facts.MissingGlobal("teams"),
	} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, facts.ErrMissing) {
				t.Errorf("%v does not wrap ErrMissing", err)
			}
			_, stub, ok := strings.Cut(err.Error(), "as in\n")
			if !ok {
				t.Fatalf("nothing to paste in: %v", err)
			}
			docs, err := resource.Parse("stub.yaml", []byte(stub))
			if err != nil {
				t.Fatal(err)
			}
			if err := facts.New().AddDocuments(docs); err != nil {
				t.Error(err)
			}
		})
	}
}
