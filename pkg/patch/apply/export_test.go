package apply

import (
	"strings"
	"sync"
	"testing"
)

// Fresh returns the built-in schemas with nothing read yet.
func Fresh() *Schemas { return &Schemas{known: new(sync.Map)} }

// TestTable reads all there is in the table.
func TestTable(t *testing.T) {
	kinds, types, _ := strings.Cut(table, "\n\n")
	names := 0
	for line := range strings.Lines(kinds) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if found, ok := lookUp(kinds+"\n", kind); !ok || found != name {
			t.Errorf("kind %s: found %q, %v; want %q", kind, found, ok, name)
		}
		if _, err := closure(types, name, deduced); err != nil {
			t.Errorf("kind %s: %v", kind, err)
		}
	}
	for line := range strings.Lines(types) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if found, ok := lookUp(types, name); !ok || found != text {
			t.Errorf("type %s: found %q, %v; want %q", name, found, ok, text)
		}
		names++
	}
	if names < 500 {
		t.Errorf("the table has %d types only", names)
	}
	for _, name := range []string{"", "a", "zzz", "core.v1.Po", "core.v1.Podd"} {
		if found, ok := lookUp(types, name); ok {
			t.Errorf("found %q for %q, which is not there", found, name)
		}
	}
}

func TestDamagedTable(t *testing.T) {
	for _, text := range []string{"", "x", "[s", "[!]", "[a|s", "{a:s", "{a:s,}x", "{a}", "{a:s=}", `{a:s="}`, "{a:@}", "@b", "s]", "{a:@missing}"} {
		if defs, err := closure("a\t"+text+"\n", "a"); err == nil {
			t.Errorf("%q is read as %v", text, defs)
		}
	}
}
