package pipeline

import (
	"cmp"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Redacted stands for a value that reports must not show.
const Redacted = "(redacted)"

// redact hides what a rule changes because of or in a Secret, or after it read
// one, wherever it stands: a rule may copy a secret into an annotation, or into
// another resource. That something changed is not hidden.
func redact(changes []resource.Change, read *facts.Secrets, kinds ...resource.Kind) []resource.Change {
	if !slices.ContainsFunc(kinds, facts.IsSecret) && len(read.Read()) == 0 {
		return changes
	}
	hide := func(v any) any {
		if v == nil {
			return nil
		}
		return Redacted
	}
	for i, c := range changes {
		changes[i].Before, changes[i].After = hide(c.Before), hide(c.After)
	}
	return changes
}

// shortest is the length from which on a value of a Secret is looked for in
// messages: what is shorter stands in any text.
const shortest = 4

// hider replaces values of Secrets, as they are, decoded and quoted: those of r, if
// it is one, and of those that were read. It is nil when there are none.
func hider(r *resource.Resource, read *facts.Secrets) *strings.Replacer {
	secrets := read.Read()
	if facts.IsSecret(r.ID().Kind) {
		if o, err := r.Object(); err == nil {
			secrets = append(secrets, o)
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	var values []string
	add := func(v string) {
		v = strings.TrimSpace(v)
		if len(v) < shortest {
			return
		}
		quoted := strconv.Quote(v)
		values = append(values, v, quoted[1:len(quoted)-1])
	}
	for _, o := range secrets {
		for _, field := range []string{"data", "stringData"} {
			entries, _ := o[field].(map[string]any)
			for _, v := range entries {
				text, _ := v.(string)
				add(text)
				if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
					add(string(decoded))
				}
			}
		}
	}
	// The replacer takes the first that fits.
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, v := range slices.Compact(values) {
		pairs = append(pairs, v, Redacted)
	}
	return strings.NewReplacer(pairs...)
}

// hide takes values of Secrets out of what an entry about r says.
func hide(r *resource.Resource, read *facts.Secrets, message string, errs ...error) string {
	replacer := hider(r, read)
	if replacer == nil {
		return message
	}
	for _, err := range errs {
		var e *policy.Error
		if errors.As(err, &e) { // place made it
			e.Err = &hiddenError{replacer.Replace(e.Err.Error()), e.Err}
		}
	}
	return replacer.Replace(message)
}

// A hiddenError is an error in other words.
type hiddenError struct {
	text string
	error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.error }
