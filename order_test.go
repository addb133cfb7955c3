package documents

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "fluent-bit-docker-logs"

// floors are the packages that others import, the lowest floor first. A package imports from floors below its own, and
// nothing beside it.
var floors = [][]string{
	{"capture/container", "capture/decode", "capture/gate", "capture/page", "capture/say", "capture/supervise"},
	{"capture/position", "capture/inotify", "capture/record"},
	{"capture/checkpoint", "capture/engine", "capture/fdguard", "capture/outbox"},
	{"capture/discovery", "capture/lines"},
	{"capture/status"},
	{"capture/reader", "capture/serve"},
	{"capture/reader/api", "capture/reader/file"},
	{"capture/stream"},
	{"capture"},
	{"plugin"},
}

// fake are the rooms of the fake Engine, the lowest floor first, which keep the same rule. Of it others import the top only.
var fake = [][]string{
	{"capture/dockertest/podman", "capture/dockertest/version", "capture/dockertest/wait", "capture/dockertest/wire"},
	{"capture/dockertest/events", "capture/dockertest/listen", "capture/dockertest/logfile"},
	{"capture/dockertest/store"},
	{"capture/dockertest/streams"},
	{"capture/dockertest/containers"},
	{"capture/dockertest/serve"},
	{"capture/dockertest"},
}

// apart are packages that are no part of the plugin: tests, programs, examples. They import each other, and of the plugin
// only what stands here: a fake that shares code with what it tests shares its mistakes.
var apart = map[string][]string{
	"": {}, "capture/dockertest/cmd/fakeengine": {}, "capture/testkit": {},
	"capture/reader/readertest": {"capture/container", "capture/decode", "capture/lines", "capture/outbox", "capture/position", "capture/reader", "capture/say", "capture/supervise"},
	"conf":                      {}, "conf/check": {"capture"}, "conf/migrate": {"capture/checkpoint", "capture/decode", "capture/position"},
	"docker": {}, "docker/chaos": {}, "docker/chaos/cmd/chaos": {}, "docker/debian": {},
	"docker/enginetest": {}, "docker/enginetest/cmd/demo": {}, "docker/enginetest/cmd/testtable": {},
	"docker/grafana": {}, "docker/healthcheck": {}, "docker/loggen": {}, "docker/peers": {}, "docker/peers/cmd/peers": {}, "docker/plot": {}, "docker/prometheus": {}, "docker/release": {},
	"docker/soak": {}, "docker/soak/cmd/soak": {},
	"plugin/backends": {}, "plugin/backends/lokitest": {}, "plugin/backends/sinks": {}, "plugin/e2e": {}, "plugin/host": {},
}

// listed is a package as go list tells of it.
type listed struct {
	ImportPath, Dir, Export string
	Standard                bool
	GoFiles, CgoFiles       []string
	TestGoFiles             []string // of the package itself
	Imports                 []string
	ImportMap               map[string]string
}

// list asks go for packages, by their import path.
func list(t *testing.T, args ...string) map[string]*listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*listed{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := &listed{}
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// TestWholeCaptures: who tests a whole capture uses it as everybody does, and the few things that export_test.go names.
func TestWholeCaptures(t *testing.T) {
	inside := []string{"disk_test.go", "export_test.go"} // one file of it, and those names
	for _, p := range list(t, "./capture") {
		if !slices.Equal(p.TestGoFiles, inside) {
			t.Errorf("tests inside of capture are %v, want %v", p.TestGoFiles, inside)
		}
	}
}

// own is a package's path in the module; ok says that it is of it.
func own(importPath string) (name string, ok bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// numbered says of each package which floor it is on, counted from 1.
func numbered(floors [][]string) map[string]int {
	on := map[string]int{}
	for i, names := range floors {
		for _, name := range names {
			on[name] = i + 1
		}
	}
	return on
}

// TestImportOrder: no import runs up, and each package has its place.
func TestImportOrder(t *testing.T) {
	floor, fakeFloor := numbered(floors), numbered(fake)
	met := map[string]bool{}
	for path, p := range list(t, "./...") {
		name, _ := own(path)
		met[name] = true
		allowed, isApart := apart[name]
		isFake := fakeFloor[name] > 0
		if floor[name] == 0 && !isApart && !isFake {
			t.Errorf("%s has no place: it belongs on a floor, or apart", path)
		}
		for _, imported := range p.Imports {
			dep, ok := own(imported)
			switch {
			case !ok:
			case isFake && (fakeFloor[dep] == 0 || fakeFloor[dep] >= fakeFloor[name]):
				t.Errorf("%s (floor %d of the fake) imports %s (floor %d)", path, fakeFloor[name], imported, fakeFloor[dep])
			case !isFake && fakeFloor[dep] > 0 && fakeFloor[dep] < len(fake):
				t.Errorf("%s imports %s, a room of the fake", path, imported)
			case isFake:
			case isApart && floor[dep] > 0 && !slices.Contains(allowed, dep):
				t.Errorf("%s imports %s, which it may not", path, imported)
			case !isApart && (floor[dep] == 0 || floor[dep] >= floor[name]):
				t.Errorf("%s (floor %d) imports %s (floor %d)", path, floor[name], imported, floor[dep])
			}
		}
	}
	for _, names := range slices.Concat(floors, fake) {
		for _, name := range names {
			if !met[name] {
				t.Errorf("%s is not there", name)
			}
		}
	}
	for name := range apart {
		if !met[name] {
			t.Errorf("%s is not there", name)
		}
	}
}

// knots are how many files of a package may reach each other, where it is more than four. A number here may fall, not rise.
var knots = map[string]int{}

// TestKnots counts, by what the type checker knows, which files of a package point at which, and how many of them reach each
// other: who reads one of those has to read all. With -v it says the figures.
func TestKnots(t *testing.T) {
	all := list(t, "-export", "-deps", "./capture/...", "./plugin")
	for path, p := range all {
		name, ok := own(path)
		if !ok {
			continue
		}
		arrows := arrowsOf(t, p, all)
		n, pairs := 0, 0
		for from, to := range arrows {
			n += len(to)
			for f := range to {
				if arrows[f][from] && f < from {
					pairs++
				}
			}
		}
		largest := largestKnot(arrows)
		t.Logf("%-20s %2d files, %3d arrows, %2d pairs that point at each other, largest knot %d", name, len(arrows), n, pairs, largest)
		if most := max(4, knots[name]); largest > most {
			t.Errorf("%s: %d files reach each other, %d may", name, largest, most)
		}
	}
}

// large are types with more than maxParts fields or methods of their own. A number here may fall, not rise.
var large = map[string]size{
	// What is told or shown: data, one field for each thing.
	"capture.Config": {39, 6}, "capture/container.Container": {18, 3}, "capture/status.Stream": {20, 0},
	"capture/page.Instance": {20, 0}, "capture/page.Container": {16, 1},
	// What others ask of a thing that has one lock.
	"capture/outbox.Outbox": {15, 22}, "capture/checkpoint.Store": {12, 21}, "capture/engine.Client": {9, 18}, "capture/stream.tasks": {5, 18},
	"capture/reader/readertest.Stream": {6, 21},
	// One thing that is followed through time: what is split off would call back.
	"capture/stream.stream": {17, 36}, "capture/stream.standing": {20, 18}, "capture/lines.Writer": {15, 55}, "capture/position.Trail": {8, 20},
	"capture/reader/file.fileLog": {14, 43}, "capture/reader/file.logFile": {8, 20},
	"capture/reader/api.Follow": {17, 26}, "capture/reader/api.audit": {23, 8}, "capture/reader/api.catchingUp": {19, 7},
}

// size is how many fields and methods a type has of its own: what is embedded counts as one.
type size struct{ fields, methods int }

const maxParts = 15

// TestTypes: a type is as large as what can be kept in mind.
func TestTypes(t *testing.T) {
	for path, p := range list(t, "./capture/...", "./plugin/...") {
		name, _ := own(path)
		sizes := map[string]size{}
		for _, file := range append(slices.Clone(p.GoFiles), p.CgoFiles...) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.TypeSpec:
					if st, ok := n.Type.(*ast.StructType); ok {
						s := sizes[n.Name.Name]
						for _, field := range st.Fields.List {
							s.fields += max(1, len(field.Names))
						}
						sizes[n.Name.Name] = s
					}
				case *ast.FuncDecl:
					if n.Recv != nil {
						s := sizes[receiver(n)]
						s.methods++
						sizes[receiver(n)] = s
					}
				}
				return true
			})
		}
		for of, s := range sizes {
			most, ok := large[name+"."+of]
			if most.fields, most.methods = max(maxParts, most.fields), max(maxParts, most.methods); s.fields > most.fields || s.methods > most.methods {
				t.Errorf("%s.%s has %d fields and %d methods", name, of, s.fields, s.methods)
			} else if ok && s.fields <= maxParts && s.methods <= maxParts {
				t.Errorf("%s.%s is small by now", name, of)
			}
		}
	}
}

// receiver is the name of the type that a method is of.
func receiver(f *ast.FuncDecl) string {
	of := f.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// arrowsOf says of each file of a package which others it names something of.
func arrowsOf(t *testing.T, p *listed, all map[string]*listed) map[string]map[string]bool {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	arrows := map[string]map[string]bool{}
	for _, name := range append(slices.Clone(p.GoFiles), p.CgoFiles...) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		arrows[name] = map[string]bool{}
	}
	lookup := func(path string) (io.ReadCloser, error) {
		if to, ok := p.ImportMap[path]; ok {
			path = to
		}
		if q := all[path]; q != nil && q.Export != "" {
			return os.Open(q.Export)
		}
		return nil, fmt.Errorf("no export data of %s", path)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	// What cgo makes is not among the files: its names alone are not known.
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup), FakeImportC: true, Error: func(error) {}}
	pkg, err := conf.Check(p.ImportPath, fset, files, info)
	if err != nil && len(p.CgoFiles) == 0 {
		t.Fatal(err)
	}
	for id, o := range info.Uses {
		if o.Pkg() != pkg || !o.Pos().IsValid() {
			continue
		}
		from, to := filepath.Base(fset.Position(id.Pos()).Filename), filepath.Base(fset.Position(o.Pos()).Filename)
		if from != to {
			arrows[from][to] = true
		}
	}
	return arrows
}

// largestKnot is the size of the largest set of files that reach each other, 1 where none do.
func largestKnot(arrows map[string]map[string]bool) (largest int) {
	reach := map[string]map[string]bool{}
	for from := range arrows {
		seen := map[string]bool{}
		for todo := []string{from}; len(todo) > 0; {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for to := range arrows[at] {
				if !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
		reach[from] = seen
	}
	for a := range arrows {
		n := 1
		for b := range arrows {
			if a != b && reach[a][b] && reach[b][a] {
				n++
			}
		}
		largest = max(largest, n)
	}
	return largest
}
