package pipeline

import (
	"cmp"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Redacted stands for a value that reports must not show.
const Redacted = "(redacted)"

func isSecret(k resource.Kind) bool { return k.Group == "" && k.Kind == "Secret" }

// redact hides what a rule changes because of or in a Secret, wherever it
// stands: a rule may copy a secret into an annotation, or into another
// resource. That something changed is not hidden.
func redact(changes []resource.Change, kinds ...resource.Kind) []resource.Change {
	if !slices.ContainsFunc(kinds, isSecret) {
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

// hider replaces values of a Secret, as they are, decoded and quoted. It is nil
// for any other resource.
func hider(r *resource.Resource) *strings.Replacer {
	if !isSecret(r.ID().Kind) {
		return nil
	}
	o, err := r.Object()
	if err != nil {
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
	// The replacer takes the first that fits.
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, v := range slices.Compact(values) {
		pairs = append(pairs, v, Redacted)
	}
	return strings.NewReplacer(pairs...)
}

// hide takes values of the Secret r out of what an entry says.
func hide(r *resource.Resource, message string, errs ...error) string {
	replacer := hider(r)
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
