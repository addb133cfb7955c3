package documents

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxWords bounds a first sentence: it is what lists and editors show of a name.
const maxWords = 12

// TestFirstSentences: each exported name, and each package, says in one short sentence what it is.
func TestFirstSentences(t *testing.T) {
	for path, p := range list(t, "./...") {
		name, _ := own(path)
		fset := token.NewFileSet()
		var files []*ast.File
		for _, file := range slices.Concat(p.GoFiles, p.CgoFiles) {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		if len(files) == 0 { // tests only
			continue
		}
		d, err := doc.NewFromFiles(fset, files, path)
		if err != nil {
			t.Fatal(err)
		}
		check := func(of, text string) {
			switch words := len(strings.Fields(d.Synopsis(text))); {
			case words == 0:
				t.Errorf("%s: %s says nothing", name, of)
			case words > maxWords:
				t.Errorf("%s: %s says %d words: %s", name, of, words, d.Synopsis(text))
			}
		}
		check("package "+d.Name, d.Doc)
		if d.Name == "main" { // of which nobody sees more
			continue
		}
		values := func(all []*doc.Value) {
			for _, v := range all {
				if v.Doc != "" {
					check(fmt.Sprint(v.Names), v.Doc)
					continue
				}
				for _, spec := range v.Decl.Specs {
					if s := spec.(*ast.ValueSpec); s.Names[0].IsExported() {
						check(s.Names[0].Name, s.Doc.Text()+s.Comment.Text())
					}
				}
			}
		}
		funcs := func(all []*doc.Func) {
			for _, f := range all {
				check(strings.TrimPrefix(f.Recv+"."+f.Name, "."), f.Doc)
			}
		}
		values(d.Consts)
		values(d.Vars)
		funcs(d.Funcs)
		for _, of := range d.Types {
			check(of.Name, of.Doc)
			if i, ok := of.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.InterfaceType); ok {
				for _, m := range i.Methods.List {
					if len(m.Names) > 0 && m.Names[0].IsExported() {
						check(of.Name+"."+m.Names[0].Name, m.Doc.Text()+m.Comment.Text())
					}
				}
			}
			values(of.Consts)
			values(of.Vars)
			funcs(of.Funcs)
			funcs(of.Methods)
		}
	}
}

// maxDoc bounds what is to be read of a room before its code, in lines.
const maxDoc = 25

// told are what a room's doc.go has to say, besides what it is for.
var told = map[string]*regexp.Regexp{
	"what it knows":         regexp.MustCompile(`\bIt knows\b`),
	"what it must not know": regexp.MustCompile(`\bmust not know\b`),
	"its locks":             regexp.MustCompile(`\b[Ll]ocks?\b`),
}

// TestRooms: each package that the plugin is made of, or the fake Engine, has a page for those who come to it first.
func TestRooms(t *testing.T) {
	for _, name := range slices.Concat(slices.Concat(floors...), slices.Concat(fake...)) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(name, "doc.go"), nil, parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		text := f.Doc.Text()
		if n := strings.Count(text, "\n"); n > maxDoc && name != "capture" { // which has the picture of all
			t.Errorf("%s: doc.go has %d lines, at most %d are read", name, n, maxDoc)
		}
		for what, how := range told {
			if !how.MatchString(strings.Join(strings.Fields(text), " ")) {
				t.Errorf("%s: doc.go does not say %s", name, what)
			}
		}
	}
}
