// Command screenshots makes the pictures of the docs: what `oneloop diff` prints
// on a terminal, and its page in a headless Chromium, light and dark:
//
//	screenshots ONELOOP FOLDER
package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/tests/browser"
)

func main() {
	err := errors.New("usage: screenshots ONELOOP FOLDER")
	if len(os.Args) == 3 {
		err = shoot(os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

// shop is the folder with the manifests and policies of the pictures.
const shop = "tests/tools/screenshots/shop"

// The commands of the pictures, as they stand in them.
const (
	onTerminal = "oneloop diff -p policies.yaml --lock images.lock.yaml manifests.yaml"
	asPage     = "oneloop diff -p policies.yaml --lock images.lock.yaml -o html manifests.yaml"
)

func shoot(oneloop, folder string) error {
	oneloop, err := filepath.Abs(oneloop)
	if err != nil {
		return err
	}
	run := func(command string, more ...string) (stdout, stderr string, err error) {
		cmd := exec.Command(oneloop, append(strings.Fields(command)[1:], more...)...)
		var out, said bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr = shop, &out, &said
		if err := cmd.Run(); err != nil {
			return "", "", fmt.Errorf("%s: %w: %s", command, err, said.String())
		}
		return out.String(), said.String(), nil
	}
	text, summary, err := run(onTerminal, "--color", "always")
	if err != nil {
		return err
	}
	page, _, err := run(asPage)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "screenshots")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	write := func(name, text string) (string, error) {
		file := filepath.Join(scratch, name)
		return "file://" + file, os.WriteFile(file, []byte(text), 0o644)
	}
	terminalURL, err := write("terminal.html", terminal(onTerminal, text+"\n"+summary))
	if err != nil {
		return err
	}
	pageURL, err := write("page.html", page)
	if err != nil {
		return err
	}
	b, err := browser.Start()
	if err != nil {
		return err
	}
	for _, shot := range []struct {
		name, url     string
		width, height int // 0: as high as what it shows
		dark          bool
	}{
		{"diff-terminal.png", terminalURL, 1040, 0, false},
		{"diff-page.png", pageURL, 1280, 1060, false},
		{"diff-page-dark.png", pageURL, 1280, 1060, true},
	} {
		if err = picture(b, shot.url, filepath.Join(folder, shot.name), shot.width, shot.height, shot.dark); err != nil {
			break
		}
	}
	return errors.Join(err, b.Close())
}

// picture takes a picture of an address.
func picture(b *browser.Browser, url, file string, width, height int, dark bool) error {
	if err := errors.Join(b.View(width, max(height, 100), dark), b.Open("about:blank"), b.Open(url)); err != nil {
		return err
	}
	if height == 0 {
		if err := b.Run(&height, "return document.documentElement.scrollHeight"); err != nil {
			return err
		}
		if err := b.View(width, height, dark); err != nil {
			return err
		}
	}
	if err := b.Run(nil, "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"); err != nil {
		return err
	}
	data, err := b.Screenshot()
	if err != nil {
		return err
	}
	if data, err = smaller(data); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// smaller gives a picture a palette of the colours that it has most of, which no
// text needs more of.
func smaller(data []byte) ([]byte, error) {
	const colors = 128
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds := full.Bounds()
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range most[:min(colors, len(most))] {
		palette = append(palette, c)
	}
	out := image.NewPaletted(bounds, palette)
	nearest := map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&b, out)
	return b.Bytes(), err
}

// terminal is a page that looks like a terminal after a command.
func terminal(command, output string) string {
	var b strings.Builder
	b.WriteString(`<!doctype html><meta charset="utf-8"><title>terminal</title><style>
body { margin: 0; background: #0d1117; color: #e6edf3; }
pre { margin: 0; padding: 18px 22px; font: 13.5px/1.5 "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.c1 { font-weight: bold; } .c2 { color: #8b949e; } .c31 { color: #ff7b72; } .c32 { color: #56d364; } .c33 { color: #e3b341; } .c36 { color: #56d4dd; }
</style><pre><span class="c32">$</span> <b>` + html.EscapeString(command) + "</b>\n")
	escape := regexp.MustCompile("\x1b\\[([0-9]+)m")
	last := 0
	for _, m := range escape.FindAllStringSubmatchIndex(output, -1) {
		b.WriteString(html.EscapeString(output[last:m[0]]))
		if code := output[m[2]:m[3]]; code == "0" {
			b.WriteString("</span>")
		} else {
			b.WriteString(`<span class="c` + code + `">`)
		}
		last = m[1]
	}
	b.WriteString(html.EscapeString(output[last:]) + "</pre>\n")
	return b.String()
}
