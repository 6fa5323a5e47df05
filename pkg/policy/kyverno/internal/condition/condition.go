// Package condition evaluates Kyverno's preconditions and deny conditions:
// comparisons of a key with a value, grouped by any and all.
//
// The semantics are those of Kyverno 1.19, its coercions between text,
// numbers, quantities, durations and versions included. Variables are
// substituted by a function of the caller.
package condition

import (
	"fmt"
	"slices"
	"strings"
)

// Resolve substitutes variables in one key or value. It does not modify v.
type Resolve func(v any) (any, error)

// Conditions is a compiled block of conditions; nil always holds.
type Conditions struct {
	flat     []condition // the old form: all of a list
	any, all []condition
	hasAny   bool // an empty list under any never holds
}

type condition struct {
	key, value any
	op         operator
	message    string
}

// Compile reads conditions from their JSON value: a map of any and all, a list
// (the old form), or nil, which always holds.
func Compile(v any) (*Conditions, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		flat, err := compileList("", v)
		if err != nil {
			return nil, err
		}
		return &Conditions{flat: flat}, nil
	case map[string]any:
		c := &Conditions{}
		for name, list := range v {
			if name != "any" && name != "all" {
				return nil, fmt.Errorf("unknown field %q; conditions are listed under any or all", name)
			}
			if list == nil {
				continue
			}
			elements, ok := list.([]any)
			if !ok {
				return nil, fmt.Errorf("%s: expected a list of conditions, found %s; put \"- \" before key", name, describe(list))
			}
			compiled, err := compileList(name, elements)
			if err != nil {
				return nil, err
			}
			if name == "any" {
				c.any, c.hasAny = compiled, true
			} else {
				c.all = compiled
			}
		}
		return c, nil
	}
	return nil, fmt.Errorf("expected any or all with a list of conditions, found %s", describe(v))
}

func compileList(name string, list []any) ([]condition, error) {
	out := make([]condition, 0, len(list))
	for i, element := range list {
		c, err := compileOne(element)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func compileOne(v any) (condition, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return condition{}, fmt.Errorf("expected a condition with key, operator and value, found %s", describe(v))
	}
	c := condition{key: m["key"], value: m["value"]}
	for name := range m {
		if !slices.Contains(fields, name) {
			return condition{}, fmt.Errorf("unknown field %q; a condition has %s", name, strings.Join(fields, ", "))
		}
	}
	name, ok := m["operator"].(string)
	if !ok {
		return condition{}, fmt.Errorf("operator: expected one of %s, found %s", strings.Join(Operators, ", "), describe(m["operator"]))
	}
	if c.op, ok = operators()[name]; !ok {
		return condition{}, fmt.Errorf("operator: %q is not one of %s", name, strings.Join(Operators, ", "))
	}
	if m["message"] != nil {
		if c.message, ok = m["message"].(string); !ok {
			return condition{}, fmt.Errorf("message: expected text, found %s", describe(m["message"]))
		}
	}
	return c, nil
}

var fields = []string{"key", "operator", "value", "message"}

// Evaluate reports whether the conditions hold, and the messages of those that
// decided. It fails when a key or value does not resolve.
func (c *Conditions) Evaluate(resolve Resolve) (ok bool, message string, err error) {
	if c == nil {
		return true, "", nil
	}
	var held, failed []string
	for i := range c.flat {
		ok, err := c.flat[i].evaluate(resolve)
		if err != nil {
			return false, "", err
		}
		if !ok {
			return false, c.flat[i].message, nil
		}
		held = note(held, c.flat[i].message)
	}
	if c.flat != nil {
		return true, strings.Join(held, ";"), nil
	}

	result := true
	if c.hasAny {
		result = false
		for i := range c.any {
			ok, err := c.any[i].evaluate(resolve)
			if err != nil {
				return false, "", err
			}
			if ok {
				result = true
				held = note(held, c.any[i].message)
				break
			}
			failed = note(failed, c.any[i].message)
		}
	}
	for i := range c.all {
		ok, err := c.all[i].evaluate(resolve)
		if err != nil {
			return false, "", err
		}
		if !ok {
			result = false
			failed = note(failed, c.all[i].message)
			break
		}
		held = note(held, c.all[i].message)
	}
	if result {
		return true, strings.Join(held, "; "), nil
	}
	return false, strings.Join(failed, "; "), nil
}

func note(messages []string, m string) []string {
	if m == "" {
		return messages
	}
	return append(messages, m)
}

func (c *condition) evaluate(resolve Resolve) (bool, error) {
	key, value := c.key, c.value
	var err error
	if key != nil {
		if key, err = resolve(key); err != nil {
			return false, fmt.Errorf("condition key: %w", err)
		}
	}
	if value != nil {
		if value, err = resolve(value); err != nil {
			return false, fmt.Errorf("condition value: %w", err)
		}
	}
	return c.op(key, value)
}

func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("the text %q", v)
	case bool:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return fmt.Sprintf("the number %v", v)
}
