package variable

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// here returns the JMESPath expression that {{ @ }} stands for in a text at
// place: the same place of the object, such as request.object. The first two steps of the place are
// those to the patch, as in mutate.patchStrategicMerge.
func here(object string, place fieldpath.Path) string {
	if len(place) > 2 {
		place = place[2:]
	} else {
		place = nil
	}
	var b strings.Builder
	b.WriteString(object)
	for _, step := range place {
		key := step.Key()
		if step.IsIndex() {
			key = strconv.Itoa(step.Index())
		}
		if _, err := strconv.ParseUint(key, 10, 64); err == nil {
			b.WriteString("[" + key + "]")
			continue
		}
		b.WriteByte('.')
		writeIdentifier(&b, key)
	}
	return b.String()
}

// writeIdentifier writes a key, in quotes where JMESPath needs them.
func writeIdentifier(b *strings.Builder, key string) {
	plain := key != ""
	for i := range len(key) {
		c := key[i]
		plain = plain && (isWord(c) && (i > 0 || c < '0' || c > '9'))
	}
	if plain {
		b.WriteString(key)
		return
	}
	b.WriteByte('"')
	for _, r := range key {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
