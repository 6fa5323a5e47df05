package apply

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

//go:generate go run -C ../../../tests/differential/admission ./schema -o ../../../pkg/patch/apply/types.txt

// table says what a merge needs to know of the built-in kinds: first a line
// for each kind, group/version/Kind and the name of its type, then an empty
// line, then a line for each type, its name and what it is. Both parts are
// sorted. A type is written as one or more of
//
//	s n b u                   a string, number, boolean, any scalar
//	[T] [!T] [key,key|T]      a list: a set, atomic, with keys
//	{field:T=default,*:T}     a map; * is every field that is not named
//	{!field:T}                an atomic map
//	@name @!name @~name       another type; as atomic; as not atomic
//
// It stays text in the program: types are found by bisection, and only what
// the wanted kind can hold is ever read.
//
//go:embed types.txt
var table string

// lookUp finds the line that starts with a name and a tab among sorted lines,
// and returns what follows the tab.
func lookUp(lines, name string) (string, bool) {
	for lines != "" {
		start := strings.LastIndexByte(lines[:len(lines)/2], '\n') + 1
		line, after, _ := strings.Cut(lines[start:], "\n")
		key, value, _ := strings.Cut(line, "\t")
		switch strings.Compare(name, key) {
		case 0:
			return value, true
		case -1:
			lines = lines[:start]
		default:
			lines = after
		}
	}
	return "", false
}

// A tableReader turns types of a table into those of the merge.
type tableReader struct {
	types string // sorted lines
	seen  map[string]bool
	out   []schema.TypeDef
}

// closure returns the named types and all that they refer to.
func closure(types string, names ...string) ([]schema.TypeDef, error) {
	r := &tableReader{types: types, seen: map[string]bool{}}
	for _, name := range names {
		r.want(name)
	}
	for i := 0; i < len(names); i++ { // grows while it runs
		name := names[i]
		text, ok := lookUp(types, name)
		if !ok {
			return nil, fmt.Errorf("type %s is not in the table", name)
		}
		p := &typeParser{text: text, want: func(other string) {
			if r.want(other) {
				names = append(names, other)
			}
		}}
		atom := p.atom()
		if p.failed || p.text != "" {
			return nil, fmt.Errorf("type %s: cannot read %q", name, text)
		}
		r.out = append(r.out, schema.TypeDef{Name: name, Atom: atom})
	}
	return r.out, nil
}

// want reports whether name was not wanted before.
func (r *tableReader) want(name string) bool {
	if r.seen[name] {
		return false
	}
	r.seen[name] = true
	return true
}

// A typeParser reads one type. After a fault it reads on to no harm.
type typeParser struct {
	text   string
	want   func(name string) // called with each type that is referred to
	failed bool
}

// accept cuts prefix off the text if it is there.
func (p *typeParser) accept(prefix byte) bool {
	if p.text == "" || p.text[0] != prefix {
		return false
	}
	p.text = p.text[1:]
	return true
}

func (p *typeParser) expect(prefix byte) {
	if !p.accept(prefix) {
		p.failed = true
	}
}

// until cuts the text before the first of the characters and returns it.
func (p *typeParser) until(chars string) string {
	i := strings.IndexAny(p.text, chars)
	if i < 0 {
		i = len(p.text)
	}
	word := p.text[:i]
	p.text = p.text[i:]
	return word
}

var scalars = map[byte]schema.Scalar{'s': schema.String, 'n': schema.Numeric, 'b': schema.Boolean, 'u': schema.Untyped}

func (p *typeParser) atom() (a schema.Atom) {
	if p.text != "" {
		if scalar, ok := scalars[p.text[0]]; ok {
			p.text = p.text[1:]
			a.Scalar = &scalar
		}
	}
	if p.accept('[') {
		a.List = p.list()
	}
	if p.accept('{') {
		a.Map = p.object()
	}
	if a == (schema.Atom{}) {
		p.failed = true
	}
	return a
}

func (p *typeParser) list() *schema.List {
	l := &schema.List{ElementRelationship: schema.Associative}
	if p.accept('!') {
		l.ElementRelationship = schema.Atomic
	} else if i := strings.IndexAny(p.text, "|[]{}@"); i > 0 && p.text[i] == '|' {
		l.Keys = strings.Split(p.text[:i], ",")
		p.text = p.text[i+1:]
	}
	l.ElementType = p.ref()
	p.expect(']')
	return l
}

func (p *typeParser) object() *schema.Map {
	m := &schema.Map{}
	if p.accept('!') {
		m.ElementRelationship = schema.Atomic
	}
	for !p.failed && !p.accept('}') {
		name := p.until(":")
		p.expect(':')
		ref := p.ref()
		if name == "*" {
			m.ElementType = ref
		} else {
			field := schema.StructField{Name: name, Type: ref}
			if p.accept('=') {
				field.Default = p.scalar()
			}
			m.Fields = append(m.Fields, field)
		}
		if !p.accept(',') && !strings.HasPrefix(p.text, "}") {
			p.failed = true
		}
	}
	return m
}

// scalar reads a default.
func (p *typeParser) scalar() any {
	if quoted, err := strconv.QuotedPrefix(p.text); err == nil {
		p.text = p.text[len(quoted):]
		text, err := strconv.Unquote(quoted)
		p.failed = p.failed || err != nil
		return text
	}
	switch word := p.until(",}"); word {
	case "true", "false":
		return word == "true"
	default:
		n, err := strconv.ParseInt(word, 10, 64)
		p.failed = p.failed || err != nil
		return n
	}
}

func (p *typeParser) ref() (r schema.TypeRef) {
	if !p.accept('@') {
		r.Inlined = p.atom()
		return r
	}
	switch {
	case p.accept('!'):
		relationship := schema.Atomic
		r.ElementRelationship = &relationship
	case p.accept('~'):
		relationship := schema.Separable
		r.ElementRelationship = &relationship
	}
	name := p.until(",]}=")
	p.want(name)
	r.NamedType = &name
	return r
}
