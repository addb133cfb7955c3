// Package documents holds the project's documents to the files that they speak of, and the comments to the documents.
package documents

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Lines that a document may have: README.md is read in minutes, and each other page is about one thing.
const (
	maxREADME   = 170
	maxDocument = 300
)

// walk calls f for each file of the project, by its path from here.
func walk(t *testing.T, f func(name string)) {
	t.Helper()
	if err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == ".git" || name == "build") {
			return fs.SkipDir
		}
		if d.Type().IsRegular() && name != ".git" {
			f(name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// read returns a file's text, none of one that is gone: it is of a test that runs beside this one.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// document is a page of Markdown.
type document struct {
	lines   int
	text    string // without what stands between fences
	anchors map[string]bool
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)

// parse reads a page, its anchors as a forge makes them of headings.
func parse(text string) document {
	d := document{lines: strings.Count(text, "\n"), anchors: map[string]bool{}}
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		b.WriteString(line)
		if heading := strings.TrimLeft(line, "#"); strings.HasPrefix(heading, " ") && heading != line {
			anchor := strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")
			for n, unique := 1, anchor; ; n, unique = n+1, fmt.Sprintf("%s-%d", anchor, n) {
				if !d.anchors[unique] {
					d.anchors[unique] = true
					break
				}
			}
		}
	}
	d.text = b.String()
	return d
}

func documents(t *testing.T) map[string]document {
	t.Helper()
	all := map[string]document{}
	walk(t, func(name string) {
		if path.Ext(name) == ".md" {
			all[name] = parse(read(t, name))
		}
	})
	if len(all) < 8 {
		t.Fatalf("there are only %d documents", len(all))
	}
	return all
}

// missing says what a link lacks that stands in a file of that directory; "" if it leads to something.
func missing(all map[string]document, dir, name, link string) string {
	file, anchor, hasAnchor := strings.Cut(link, "#")
	target := name
	if file != "" {
		target = path.Join(dir, file)
	}
	if strings.HasPrefix(target, "..") {
		return "it leads out of the project"
	}
	if _, err := os.Stat(target); err != nil {
		return target + " is not there"
	}
	if hasAnchor && !all[target].anchors[anchor] {
		return fmt.Sprintf("%s has no heading #%s", target, anchor)
	}
	return ""
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	inCode       = regexp.MustCompile("`[^`\n]*`")
)

// TestLinks: every relative link in a document leads to something, the anchor included.
func TestLinks(t *testing.T) {
	all := documents(t)
	links := 0
	for name, d := range all {
		for _, m := range markdownLink.FindAllStringSubmatch(inCode.ReplaceAllString(d.text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			if why := missing(all, path.Dir(name), name, m[1]); why != "" {
				t.Errorf("%s links to %s: %s", name, m[1], why)
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

var (
	mention = regexp.MustCompile(`(?:[\w.-]+/)*(?:README|TROUBLESHOOTING|CONTRIBUTING|SECURITY|CHANGELOG)\.md(?:#[\w-]+)?`)
	bare    = regexp.MustCompile(`\bREADME\b[^.\w]`)
)

// TestMentions: where code, scripts and configurations speak of a document, by its path from the root or from where they are, it
// is there, with the heading; and they say which README they mean.
func TestMentions(t *testing.T) {
	all := documents(t)
	mentions := 0
	walk(t, func(name string) {
		if path.Ext(name) == ".md" || name == "documents_test.go" {
			return
		}
		for line := range strings.Lines(read(t, name)) {
			if strings.Contains(line, ".md") {
				for _, link := range mention.FindAllString(line, -1) {
					mentions++
					here, root := missing(all, path.Dir(name), name, link), missing(all, ".", name, link)
					if here != "" && root != "" {
						t.Errorf("%s speaks of %s: %s", name, link, root)
					}
				}
			}
			if strings.Contains(line, "README") && bare.MatchString(line) && !strings.Contains(line, "-run README") {
				t.Errorf("%s does not say which README it means: %s", name, strings.TrimSpace(line))
			}
		}
	})
	if mentions < 20 {
		t.Errorf("only %d mentions were found", mentions)
	}
}

// named finds names of files in code spans; a * stands for any text.
var named = regexp.MustCompile("`((?:[\\w*.-]+/)*[\\w*-][\\w*.-]*\\.(?:go|c|h|sh|html|md)|(?:[\\w-]+/)+|conf/[\\w.*-]+|docker/[\\w./*-]+)`")

// TestNamedFiles: files and directories that a document names, by their path from the root or from where it is, are there; and
// every Go package has its place in one of them.
func TestNamedFiles(t *testing.T) {
	seen := map[string]bool{}
	for name, d := range documents(t) {
		if name == "CHANGELOG.md" { // tells what was
			continue
		}
		for _, m := range named.FindAllStringSubmatch(d.text, -1) {
			if strings.HasPrefix(m[1], "build/") {
				continue
			}
			found := false
			for _, dir := range []string{path.Dir(name), "."} {
				files, err := filepath.Glob(path.Join(dir, m[1]))
				if err != nil {
					t.Fatal(err)
				}
				found = found || len(files) > 0
				for _, f := range files {
					seen[f] = true
				}
			}
			if !found {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
	walk(t, func(name string) {
		dir := path.Dir(name)
		parts := strings.Split(name, "/")
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || slices.Contains(parts, "cmd") || slices.Contains(parts, "testdata") || seen[dir] {
			return
		}
		seen[dir] = true
		t.Errorf("no document says what is in %s", dir)
	})
}

// TestLengths: no document is longer than what is read at one go.
func TestLengths(t *testing.T) {
	for name, d := range documents(t) {
		most := maxDocument
		if name == "README.md" {
			most = maxREADME
		}
		if d.lines > most {
			t.Errorf("%s has %d lines, %d are what it may have", name, d.lines, most)
		}
	}
}

// TestTargets: every target of the Makefile is explained.
func TestTargets(t *testing.T) {
	contributing := documents(t)["CONTRIBUTING.md"].text
	targets := regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## `).FindAllStringSubmatch(read(t, "Makefile"), -1)
	if len(targets) == 0 {
		t.Fatal("no target was found at all")
	}
	for _, m := range targets {
		if m[1] != "help" && !regexp.MustCompile("`make "+m[1]+`[ \x60]`).MatchString(contributing) {
			t.Errorf("CONTRIBUTING.md does not explain make %s", m[1])
		}
	}
}

var (
	testCommand = regexp.MustCompile("`[^`\n]*\\bgo test ([^`\n]*)`")
	testWord    = regexp.MustCompile(`'[^']*'|\S+`)
	testFunc    = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w*)\(`)
)

// TestCommands: what a document tells to run is there. A figure whose command runs nothing was measured by nobody knows what.
func TestCommands(t *testing.T) {
	found := 0
	for name, d := range documents(t) {
		if name == "CHANGELOG.md" { // tells what was
			continue
		}
		for _, m := range testCommand.FindAllStringSubmatch(d.text, -1) {
			patterns, packages := splitTestCommand(m[1])
			var there []string
			for _, pkg := range packages {
				there = append(there, testsOf(t, pkg)...)
			}
			for _, pattern := range patterns {
				found++
				first, _, _ := strings.Cut(pattern, "/")
				re, err := regexp.Compile(first)
				if err != nil {
					t.Errorf("%s: %v in %s", name, err, m[0])
				} else if !slices.ContainsFunc(there, re.MatchString) {
					t.Errorf("%s: nothing in %v is called like %s: %s", name, packages, pattern, m[0])
				}
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d commands were found", found)
	}
}

// splitTestCommand returns the alternatives of what a go test is to run, and the packages.
func splitTestCommand(args string) (patterns, packages []string) {
	words := testWord.FindAllString(strings.ReplaceAll(args, `\|`, "|"), -1)
	for i, word := range words {
		switch {
		case strings.HasPrefix(word, "./"):
			packages = append(packages, word)
		case i > 0 && (words[i-1] == "-run" || words[i-1] == "-bench"):
			for _, p := range strings.Split(strings.Trim(word, "'"), "|") {
				if p != "-" && p != "NAME" && p != "^$" {
					patterns = append(patterns, p)
				}
			}
		}
	}
	return patterns, packages
}

// testsOf are the tests and benchmarks of a package, or with /... of all below it.
func testsOf(t *testing.T, pkg string) (names []string) {
	t.Helper()
	dir, below := strings.CutSuffix(path.Clean(pkg), "/...")
	walk(t, func(name string) {
		in := path.Dir(name) == dir || below && strings.HasPrefix(name, dir+"/")
		if in && strings.HasSuffix(name, "_test.go") {
			for _, m := range testFunc.FindAllStringSubmatch(read(t, name), -1) {
				names = append(names, m[1])
			}
		}
	})
	return names
}
