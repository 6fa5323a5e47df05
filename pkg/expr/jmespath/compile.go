package jmespath

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	parser "github.com/kyverno/go-jmespath"
)

const (
	maxExpression = 4 << 20  // bytes; values are substituted into expressions as text, hence so many
	maxCode       = 16 << 10 // bytes outside literals; bounds the recursion of the parser
	maxDepth      = 1000     // of nested nodes; bounds the recursion of the evaluation
)

// Compile parses an expression. The error names the expression and the byte
// offset at which it stops making sense.
func Compile(expr string) (*Query, error) {
	if len(expr) > maxExpression {
		return nil, fmt.Errorf("JMESPath expression of %d bytes is too long: at most %d are allowed", len(expr), maxExpression)
	}
	if n := len(expr) - literalBytes(expr); n > maxCode {
		return nil, fmt.Errorf("JMESPath expression %s has %d bytes outside its literals: at most %d are allowed", abbreviate(expr), n, maxCode)
	}
	ast, err := parser.NewParser().Parse(expr)
	if err != nil {
		return nil, syntaxError(expr, err)
	}
	c := compiler{}
	root, err := c.node(ast, 0)
	if err != nil {
		return nil, fmt.Errorf("JMESPath expression %s: %w", abbreviate(expr), err)
	}
	return &Query{text: expr, root: root, audit: c.audit, faults: c.faults}, nil
}

// syntaxError puts expression, offset and readable token names into an error of
// the parser.
func syntaxError(expr string, err error) error {
	var s parser.SyntaxError
	if errors.As(err, &s) {
		msg := tokenNames.Replace(strings.TrimPrefix(s.Error(), "SyntaxError: "))
		msg = strings.ToLower(msg[:1]) + msg[1:]
		return fmt.Errorf("JMESPath expression %s, offset %d: %s", abbreviate(expr), max(s.Offset, 0), msg)
	}
	// The parser passes errors of literals and indices on without their place.
	for l := range literals(expr) {
		switch text := expr[l.start:l.end]; l.quote {
		case '`':
			if bad := jsonError(strings.ReplaceAll(text, "\\`", "`")); bad != nil {
				return fmt.Errorf("JMESPath expression %s, offset %d: JSON literal: %w", abbreviate(expr), l.start, bad)
			}
		case '"':
			if bad := jsonError(`"` + text + `"`); bad != nil {
				return fmt.Errorf("JMESPath expression %s, offset %d: quoted identifier: %w", abbreviate(expr), l.start, bad)
			}
		}
	}
	var n *strconv.NumError
	if errors.As(err, &n) {
		return fmt.Errorf("JMESPath expression %s, offset %d: %q is not an index", abbreviate(expr), max(strings.Index(expr, n.Num), 0), n.Num)
	}
	return fmt.Errorf("JMESPath expression %s, offset 0: %w", abbreviate(expr), err)
}

func jsonError(text string) error {
	var v any
	return json.Unmarshal([]byte(text), &v)
}

// tokenNames says what the parser's internal names stand for. Longer names come
// before their prefixes.
var tokenNames = strings.NewReplacer(
	"tUnquotedIdentifier", "a name", "tQuotedIdentifier", "a quoted name", "tJSONLiteral", "a JSON literal",
	"tStringLiteral", "a string", "tNumber", "a number", "tRbracket", `"]"`, "tLbracket", `"["`,
	"tRbrace", `"}"`, "tLbrace", `"{"`, "tRparen", `")"`, "tLparen", `"("`, "tComma", `","`, "tColon", `":"`,
	"tCurrent", `"@"`, "tExpref", `"&"`, "tFilter", `"[?"`, "tFlatten", `"[]"`, "tUnknown", `"="`,
	"tStar", `"*"`, "tDot", `"."`, "tPipe", `"|"`, "tOr", `"||"`, "tAnd", `"&&"`, "tNot", `"!"`,
	"tLTE", `"<="`, "tGTE", `">="`, "tLT", `"<"`, "tGT", `">"`, "tEQ", `"=="`, "tNE", `"!="`,
	"tEOF", "the end of the expression",
	// One message of the parser says nothing.
	"SyntaxError: Error", "unexpected token", "Error", "unexpected token",
)

// abbreviate quotes an expression for an error message.
func abbreviate(expr string) string {
	const most = 200
	if len(expr) <= most {
		return strconv.Quote(expr)
	}
	return strconv.Quote(strings.ToValidUTF8(expr[:most], "")) + "…"
}

// A span is the inside of one quoted part of an expression.
type span struct {
	quote      byte
	start, end int
}

// literals visits the quoted parts of an expression in order. It reads quotes
// and escapes as the parser does.
func literals(expr string) func(yield func(span) bool) {
	return func(yield func(span) bool) {
		for i := 0; i < len(expr); i++ {
			q := expr[i]
			if q != '\'' && q != '"' && q != '`' {
				continue
			}
			start := i + 1
			for i++; i < len(expr) && expr[i] != q; i++ {
				// In a raw string a backslash protects only a quote.
				if expr[i] == '\\' && (q != '\'' || i+1 < len(expr) && expr[i+1] == '\'') {
					i++
				}
			}
			if !yield(span{q, start, min(i, len(expr))}) {
				return
			}
		}
	}
}

func literalBytes(expr string) int {
	n := 0
	for l := range literals(expr) {
		n += l.end - l.start
	}
	return n
}

// A compiler turns the syntax tree of the parser into nodes.
type compiler struct {
	audit  bool
	faults []error
}

func (c *compiler) node(n parser.ASTNode, depth int) (node, error) {
	if depth++; depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	kids := make([]node, len(n.Children))
	for i := range n.Children {
		kid, err := c.node(n.Children[i], depth)
		if err != nil {
			return nil, err
		}
		kids[i] = kid
	}
	switch n.NodeType {
	case parser.ASTIdentity, parser.ASTCurrentNode:
		return current{}, nil
	case parser.ASTField:
		return newKeyPath(n.Value.(string)), nil
	case parser.ASTLiteral:
		return literal{integers(n.Value)}, nil
	case parser.ASTSubexpression, parser.ASTIndexExpression:
		return chain(kids[0], kids[1]), nil
	case parser.ASTIndex:
		return index(n.Value.(int)), nil
	case parser.ASTSlice:
		parts := n.Value.([]*int)
		return &slice{parts[0], parts[1], parts[2]}, nil
	case parser.ASTProjection:
		return &projection{kids[0], kids[1]}, nil
	case parser.ASTFilterProjection:
		return &filter{kids[0], kids[1], kids[2]}, nil
	case parser.ASTFlatten:
		return &flatten{kids[0]}, nil
	case parser.ASTValueProjection:
		return &values{kids[0], kids[1]}, nil
	case parser.ASTPipe:
		return &pipe{kids[0], kids[1]}, nil
	case parser.ASTOrExpression:
		return &or{kids[0], kids[1]}, nil
	case parser.ASTAndExpression:
		return &and{kids[0], kids[1]}, nil
	case parser.ASTNotExpression:
		return &not{kids[0]}, nil
	case parser.ASTComparator:
		// The operator's type is private to the parser; its name is not.
		switch op := fmt.Sprint(n.Value); op {
		case "tEQ", "tNE":
			return &equality{kids[0], kids[1], op == "tEQ"}, nil
		case "tLT", "tLTE", "tGT", "tGTE":
			return &comparison{kids[0], kids[1], op}, nil
		default:
			return nil, fmt.Errorf("unknown comparison %s", op)
		}
	case parser.ASTMultiSelectList:
		c.audit = true
		return list(kids), nil
	case parser.ASTMultiSelectHash:
		c.audit = true
		h := hash{values: kids}
		for _, kid := range n.Children {
			h.keys = append(h.keys, kid.Value.(string))
		}
		return &h, nil
	case parser.ASTKeyValPair:
		return kids[0], nil
	case parser.ASTExpRef:
		c.audit = true
		return &reference{kids[0]}, nil
	case parser.ASTFunctionExpression:
		c.audit = true
		name, ok := n.Value.(string)
		if !ok {
			return c.broken(errors.New("only a name can be called as a function")), nil
		}
		return c.call(name, kids), nil
	case parser.ASTEmpty:
		// The parser drops the error of a bad index at the start of an
		// expression; Kyverno then fails when it gets there.
		return c.broken(errors.New("an index in brackets is not a whole number that fits 64 bits")), nil
	}
	return nil, fmt.Errorf("unknown kind of expression %s", n.NodeType)
}

func (c *compiler) broken(err error) node {
	c.faults = append(c.faults, err)
	return broken{err}
}

func (c *compiler) call(name string, args []node) node {
	f, ok := functionTable()[name]
	if !ok {
		f = &function{name: name}
		err := fmt.Errorf("unknown function %s", name)
		if near := nearest(name); near != "" {
			err = fmt.Errorf("unknown function %s; did you mean %s?", name, near)
		}
		c.faults = append(c.faults, err)
		return &call{fn: f, args: args, fault: err}
	}
	n := &call{fn: f, args: args}
	switch {
	case len(f.params) == 0: // time_now and time_now_utc ignore what they are given
	case f.variadic && len(args) < len(f.params):
		n.fault = fmt.Errorf("function %s: got %d arguments, expected at least %d", name, len(args), len(f.params))
	case !f.variadic && len(args) != len(f.params):
		n.fault = fmt.Errorf("function %s: got %d arguments, expected %d: %s", name, len(args), len(f.params), f.signature())
	}
	if n.fault != nil {
		c.faults = append(c.faults, n.fault)
	}
	if f.never != nil {
		c.faults = append(c.faults, fmt.Errorf("function %s: %w", name, f.never))
	}
	return n
}

// chain joins two steps, and paths into one longer path.
func chain(left, right node) node {
	switch l := left.(type) {
	case current:
		return right
	case *keyPath:
		if r, ok := right.(*keyPath); ok {
			l.add(r.keys...) // l belongs to this chain alone
			return l
		}
	}
	return &then{left, right}
}

// integers turns whole float64 numbers of a fresh JSON value into int64, in
// place.
func integers(v any) any {
	switch v := v.(type) {
	case float64:
		return number(v)
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	case map[string]any:
		for k, e := range v {
			v[k] = integers(e)
		}
	}
	return v
}

// number returns f as int64 when it is whole and every whole number of its size
// has a float64 of its own, else as float64. Negative zero stays what it is.
func number(f float64) any {
	const exact = 1 << 53
	if f == math.Trunc(f) && math.Abs(f) <= exact && (f != 0 || !math.Signbit(f)) {
		return int64(f)
	}
	return f
}
