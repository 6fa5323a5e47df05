package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// An exception is a case whose expectation is knowingly not met.
type exception struct {
	Case   string `json:"case"`
	Why    string `json:"why"`    // a part of what the judge says
	Reason string `json:"reason"` // why the expectation can't hold
}

// exceptions are those of a file, by case.
type exceptions map[string]exception

func readExceptions(file string) (exceptions, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []exception
	if err := yaml.UnmarshalStrict(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out := exceptions{}
	for _, e := range list {
		if e.Case == "" || e.Why == "" || e.Reason == "" {
			return nil, fmt.Errorf("%s: exception %q: expected case, why and reason", file, e.Case)
		}
		if _, ok := out[e.Case]; ok {
			return nil, fmt.Errorf("%s: %s is there twice", file, e.Case)
		}
		out[e.Case] = e
	}
	return out, nil
}

// holds reports whether a verdict is what an exception says.
func (e exceptions) holds(v verdict) bool {
	x, ok := e[v.ID]
	return ok && !v.Pass && strings.Contains(v.Why, x.Why)
}

// check returns what is wrong with the exceptions, and the failures that none
// of them explains.
func (e exceptions) check(ours []verdict) error {
	var errs []error
	seen := map[string]bool{}
	for _, v := range ours {
		seen[v.ID] = true
		_, listed := e[v.ID]
		switch {
		case listed && v.Pass:
			errs = append(errs, fmt.Errorf("%s passes: remove the exception", v.ID))
		case listed && !e.holds(v):
			errs = append(errs, fmt.Errorf("%s fails in another way than its exception says: %s", v.ID, v.Why))
		case !listed && !v.Pass:
			errs = append(errs, fmt.Errorf("%s fails (exit %d): %s", v.ID, v.Exit, v.Why))
		}
	}
	for id := range e {
		if !seen[id] {
			fmt.Printf("the exception %s is about no case of this corpus\n", id)
		}
	}
	return errors.Join(errs...)
}
