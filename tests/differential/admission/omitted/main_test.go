package main

import (
	"bytes"
	"os"
	"testing"
)

func TestUpToDate(t *testing.T) {
	const dir = "../../../../pkg/patch/apply/"
	table, err := os.ReadFile(dir + "types.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(dir + "omitted.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, generate(string(table))) {
		t.Error("pkg/patch/apply/omitted.txt is out of date: run go generate ./pkg/patch/apply")
	}
}
