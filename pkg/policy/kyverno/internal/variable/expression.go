package variable

import (
	"errors"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
)

// An Expression is a compiled JMESPath expression.
type Expression struct {
	text  string
	query *jmespath.Query
}

// NewExpression compiles a JMESPath expression, as it stands between braces or
// in a field such as jmesPath.
func NewExpression(text string) (*Expression, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("the expression is empty")
	}
	q, err := jmespath.Compile(text)
	if err != nil {
		return nil, err
	}
	return &Expression{text: text, query: q}, nil
}

// String returns the expression as it was written.
func (e *Expression) String() string { return e.text }

// Search evaluates the expression against data.
func (e *Expression) Search(data any, env jmespath.Env) (any, error) {
	return e.query.Search(data, env)
}

// Root returns the name that the expression starts with, "" when it starts
// with something else, such as a call or a literal.
func (e *Expression) Root() string {
	i := 0
	for i < len(e.text) && isWord(e.text[i]) {
		i++
	}
	if name := e.text[:i]; i > 0 && !('0' <= name[0] && name[0] <= '9') && !strings.HasPrefix(strings.TrimLeft(e.text[i:], " "), "(") {
		return name
	}
	return ""
}

// Mentions reports whether the expression may refer to the root name. It goes
// by the words of its text, as Kyverno does to find out which context entries
// to load: the word counts where it neither follows a dot or a letter or digit,
// nor goes on.
func (e *Expression) Mentions(name string) bool {
	for from := 0; ; {
		i := strings.Index(e.text[from:], name)
		if i < 0 || name == "" {
			return false
		}
		start, end := from+i, from+i+len(name)
		if (start == 0 || !isAlnum(e.text[start-1]) && e.text[start-1] != '.') &&
			(end == len(e.text) || !isWord(e.text[end]) || !isWord(e.text[end-1])) {
			return true
		}
		from = start + 1
	}
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isWord(c byte) bool { return isAlnum(c) || c == '_' }

// Expressions remembers compiled expressions by their text. Those that are put
// together at run time are many when they contain names of resources, so the
// number is bounded. The zero value is ready; it may serve many goroutines.
type Expressions struct {
	mu sync.RWMutex
	of map[string]*Expression
}

const maxExpressions = 1024

// Compile returns the expression with that text.
func (x *Expressions) Compile(text string) (*Expression, error) {
	x.mu.RLock()
	e, ok := x.of[text]
	x.mu.RUnlock()
	if ok {
		return e, nil
	}
	e, err := NewExpression(text)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of == nil || len(x.of) >= maxExpressions {
		x.of = map[string]*Expression{}
	}
	x.of[text] = e
	return e, nil
}
