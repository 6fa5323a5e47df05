package variable

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// The two regular expressions say what Kyverno takes for a reference: it ends
// at the last closing parenthesis before a space.
var (
	reference        = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\$\(.[^ ]*\)|[^\\]\$\(.[^ ]*\)`) })
	escapedReference = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\\$\(.[^ )]*\)`) })
)

// references replaces the $(path) references of a text. The error says that
// one leads nowhere, which Kyverno tells when the rule runs.
func (c *compilation) references(text string, place fieldpath.Path) (string, error) {
	for _, found := range reference().FindAllString(text, -1) {
		before := ""
		if !strings.HasPrefix(found, "$(") {
			i := strings.Index(found, "$(")
			before, found = found[:i], found[i:]
		}
		value, err := c.lookup(found, place)
		if err != nil {
			return "", fmt.Errorf("reference %s: %w; write \\%s for the text itself", found, err, found)
		}
		if len(text)+len(value) > maxText {
			return "", fmt.Errorf("reference %s: the text becomes longer than %d MiB", found, maxText>>20)
		}
		text = strings.Replace(text, before+found, before+value, 1)
	}
	return escapedReference().ReplaceAllStringFunc(text, func(s string) string { return s[1:] }), nil
}

// operators may stand before the path of a reference; they are carried over.
var operators = []string{">=", "<=", ">", "<", "!"}

func (c *compilation) lookup(ref string, place fieldpath.Path) (string, error) {
	to := strings.Trim(ref, "$()")
	operator := ""
	for _, o := range operators {
		if strings.HasPrefix(to, o) && len(to) >= 2 {
			operator, to = o, to[len(o):]
			break
		}
	}
	if to == "" {
		return "", errors.New("it has no path")
	}
	if !path.IsAbs(to) {
		to = path.Join(slashed(place), to)
	}
	found, ok := locate(c.document, "", to)
	if !ok || found == nil {
		return "", fmt.Errorf("there is no value at %s", to)
	}
	switch v := found.(type) {
	case string:
		return operator + v, nil
	case int64:
		if operator != "" {
			return operator + strconv.FormatInt(v, 10), nil
		}
	case float64:
		if operator != "" {
			return operator + fmt.Sprintf("%f", v), nil
		}
	}
	return "", fmt.Errorf("expected a text at %s, found %s", to, kindOf(found))
}

// slashed writes a place as a path of a file, slashes in keys escaped.
func slashed(place fieldpath.Path) string {
	var b strings.Builder
	for _, s := range place {
		b.WriteByte('/')
		if s.IsIndex() {
			b.WriteString(strconv.Itoa(s.Index()))
		} else {
			b.WriteString(strings.ReplaceAll(s.Key(), "/", `\/`))
		}
	}
	return b.String()
}

// locate finds the value whose place, without anchors, is to.
func locate(v any, at, to string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if found, ok := locate(value, at+"/"+strings.ReplaceAll(bare(key), "/", `\/`), to); ok {
				return found, true
			}
		}
		return v, at == to
	case []any:
		for i, value := range v {
			if found, ok := locate(value, at+"/"+strconv.Itoa(i), to); ok {
				return found, true
			}
		}
		return v, at == to
	}
	return v, at == to
}

// bare strips the anchor off a key.
func bare(key string) string {
	inner, ok := strings.CutSuffix(key, ")")
	if !ok {
		return key
	}
	for _, prefix := range []string{"(", "+(", "<(", "=(", "X(", "^("} {
		if name, ok := strings.CutPrefix(inner, prefix); ok && name != "" {
			return name
		}
	}
	return key
}
