package main

import (
	"fmt"
	"strings"
	"testing"
)

const printed = `{"Action":"output","Package":"p","Test":"TestA/20.10.24+dfsg1","Output":"kept to itself\n"}
{"Action":"pass","Package":"p","Test":"TestA/20.10.24+dfsg1"}
{"Action":"pass","Package":"p","Test":"TestA/20.10.24+dfsg1/max-file=1"}
{"Action":"output","Package":"p","Test":"TestA/29-v2.0.0-beta.24/deep","Output":"why it failed\n"}
{"Action":"fail","Package":"p","Test":"TestA/29-v2.0.0-beta.24/deep"}
{"Action":"skip","Package":"p","Test":"TestA/Engine_28.5.2"}
{"Action":"pass","Package":"p","Test":"TestNoEngine/1.5s"}
{"Action":"pass","Package":"p","Test":"TestNoEngine"}
{"Action":"output","Package":"p","Output":"FAIL p 1.2s\n"}
{"Action":"fail","Package":"p"}
`

func TestTable(t *testing.T) {
	var out strings.Builder
	failed, err := run(strings.NewReader(printed), &out)
	if err != nil || !failed {
		t.Errorf("failed %v, error %v", failed, err)
	}
	const want = `why it failed
FAIL p 1.2s
            Engine   passed   failed   skipped
     20.10.24+dfsg1        2        0         0
             28.5.2        0        0         1
 29-v2.0.0-beta.24        0        1         0
failed on 29-v2.0.0-beta.24: TestA/29-v2.0.0-beta.24/deep
`
	if got := strings.Join(strings.Fields(out.String()), " "); got != strings.Join(strings.Fields(want), " ") {
		t.Errorf("printed\n%s", out.String())
	}
}

func TestNothingRan(t *testing.T) {
	var out strings.Builder
	failed, err := run(strings.NewReader("a line of a build\n"), &out)
	if failed || err != nil || !strings.Contains(out.String(), "a line of a build\nno test ran on an Engine") {
		t.Errorf("failed %v, error %v, printed %q", failed, err, out.String())
	}
}

// What tests say of themselves becomes a table, versions in their order; what failed is seen.
func TestGrid(t *testing.T) {
	var in strings.Builder
	for _, c := range [][5]string{
		{"TestV/a", "pass", "stops", "10.0.1", "0 / 0"},
		{"TestV/b", "fail", "stops", "9.1.0", "7 / 0"},
		{"TestV/c", "pass", "kills", "9.1.0", "0 / 12"},
		{"TestV/d", "pass", "kills", "9.1.0", "0 / 12"},
		{"TestV/e", "skip", "kills", "10.0.1", ""},
	} {
		for i, key := range []string{"row", "column", "cell"} {
			fmt.Fprintf(&in, `{"Action":"attr","Package":"p","Test":%q,"Key":%q,"Value":%q}`+"\n", c[0], key, c[2+i])
		}
		fmt.Fprintf(&in, `{"Action":%q,"Package":"p","Test":%q}`+"\n", c[1], c[0])
	}
	var out strings.Builder
	failed, err := run(strings.NewReader(in.String()), &out)
	const want = `| | 9.1.0 | 10.0.1 |
|---|---|---|
| kills | 0 / 12 | - |
| stops | **failed** 7 / 0 | 0 / 0 |
`
	if !failed || err != nil || out.String() != want {
		t.Errorf("failed %v, error %v, printed\n%s", failed, err, out.String())
	}
}
