package main

import (
	"bytes"
	"os"
	"reflect"
	"testing"
)

func TestUpToDate(t *testing.T) {
	const dir = "../../../../pkg/patch/apply/"
	table, err := os.ReadFile(dir + "types.txt")
	if err != nil {
		t.Fatal(err)
	}
	for file, fields := range map[string]func(reflect.Type) []string{"omitted.txt": omittedFields, "always.txt": alwaysFields} {
		got, err := os.ReadFile(dir + file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, generate(string(table), fields)) {
			t.Errorf("pkg/patch/apply/%s is out of date: run go generate ./pkg/patch/apply", file)
		}
	}
}
