package autogen

import (
	"encoding/json"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
)

// Images returns the copies of an ImageValidatingPolicy, which match what Targets
// says, by variant. Other than in a MutatingPolicy all texts of it are rewritten,
// variables and messages included, and all of metadata but the namespace.
func Images(s *spec.ImageValidatingSpec) (map[Variant]*spec.ImageValidatingSpec, error) {
	var chosen []string
	if s.Autogen != nil && s.Autogen.PodControllers != nil {
		chosen = s.Autogen.PodControllers.Controllers
	}
	out := map[Variant]*spec.ImageValidatingSpec{}
	for variant, match := range Targets(s.MatchConstraints, chosen) {
		copied := *s
		if variant != Extracted {
			text, err := json.Marshal(s)
			if err != nil {
				return nil, err
			}
			copied = spec.ImageValidatingSpec{}
			if err := json.Unmarshal([]byte(intoTemplate(string(text), variant)), &copied); err != nil {
				return nil, err
			}
		}
		copied.MatchConstraints = match
		out[variant] = &copied
	}
	return out, nil
}

// intoTemplate makes a text about a Pod one about its template. Like Kyverno it
// does not look at where a name begins: myobject.spec is rewritten, too.
func intoTemplate(text string, v Variant) string {
	template := v.template()
	for _, field := range []string{"spec", "metadata"} {
		for _, object := range []string{"object.", "oldObject."} {
			text = replace(text, object+field, object+template+"."+field)
		}
	}
	return text
}

// replace replaces all of from but those that .namespace follows.
func replace(text, from, to string) string {
	const kept = ".namespace"
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, from)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if after, ok := strings.CutPrefix(rest, kept); ok && (after == "" || !isWord(after[0])) {
			b.WriteString(from)
		} else {
			b.WriteString(to)
		}
		text = rest
	}
}

func isWord(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
