package policy

import "strings"

// Manual takes the package comment out of the source of a doc.go and leaves out
// how it has to begin, "Package name evaluates": the Doc of a Language.
func Manual(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		text, ok := strings.CutPrefix(line, "//")
		if !ok {
			break
		}
		b.WriteString(strings.TrimPrefix(text, " "))
	}
	title, rest, _ := strings.Cut(b.String(), "\n")
	if words := strings.SplitN(title, " ", 4); len(words) == 4 {
		title = words[3]
	}
	return strings.TrimSuffix(title, ".") + "\n" + rest
}
