package host_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestRecords(t *testing.T) {
	const v2 = "9292d700000000010000000280" // [[EventTime 1.000000002, {}], ...
	rows := []struct{ name, msgpack, want string }{
		{"event time", v2 + "80", `"time":"1.000000002","record":{}`},
		{"event time, ext 8", "9292c708006a9b2c003b9ac9ff8080", `"time":"1788554240.999999999","record":{}`},
		{"legacy event time", "92d700000000010000000280", `"time":"1.000000002","record":{}`},
		{"legacy integer", "92ce6a9b2c0080", `"time":"1788554240.000000000","record":{}`},
		{"legacy float", "92cb3ff800000000000080", `"time":"1.500000000","record":{}`},
		{"metadata", "9292d700000000010000000281a161a16280", `"time":"1.000000002","metadata":{"a":"b"},"record":{}`},
		{"escapes", v2 + "81a16baa22" + hex.EncodeToString([]byte("\\\n\r\t\b\f\x01\x7f/")), `"time":"1.000000002","record":{"k":"\"\\\n\r\t\b\f\u0001` + "\x7f" + `/"}`},
		{"utf-8", v2 + "81a16baa" + hex.EncodeToString([]byte("é\u2028中😀")[:10]), ""},
		{"utf-8 whole", v2 + "81a16bac" + hex.EncodeToString([]byte("é\u2028中😀")), `"time":"1.000000002","record":{"k":"` + "é\u2028中😀" + `"}`},
		{"invalid utf-8", v2 + "81a16ba461ff220a", `"time":"1.000000002","record":{"k":{"__raw":"a\u00ff\"\n"}}`},
		{"overlong", v2 + "81a16ba2c080", `"time":"1.000000002","record":{"k":{"__raw":"\u00c0\u0080"}}`},
		{"surrogate", v2 + "81a16ba3eda080", `"time":"1.000000002","record":{"k":{"__raw":"\u00ed\u00a0\u0080"}}`},
		{"invalid key", v2 + "81a1fe01", `"time":"1.000000002","record":{"__raw:\u00fe":1}`},
		{"bin", v2 + "81a16bc40200ff", `"time":"1.000000002","record":{"k":{"__bin":"\u0000\u00ff"}}`},
		{"ext", v2 + "81a16bd4f907", `"time":"1.000000002","record":{"k":{"__ext":-7,"data":"\u0007"}}`},
		{"integers", v2 + "81a16b96ffd080d1ff00d2ffffff00d38000000000000000cfffffffffffffffff", `"time":"1.000000002","record":{"k":[-1,-128,-256,-256,-9223372036854775808,18446744073709551615]}`},
		{"floats", v2 + "81a16b94cb3fb999999999999acb3ff0000000000000ca3dcccccdcb7ff8000000000000", `"time":"1.000000002","record":{"k":[0.10000000000000001,1.0,0.100000001,{"__float":"nan"}]}`},
		{"others", v2 + "82c0c301dc0002c2de0000", `"time":"1.000000002","record":{"null":true,"1":[false,{}]}`},
		{"str 8, 16, 32", v2 + "81d90161" + "92da000162db0000000163", `"time":"1.000000002","record":{"a":["b","c"]}`},
	}
	// cut in the middle of 😀 (10 bytes would end it), so bytes as code points
	rows[7].want = `"time":"1.000000002","record":{"k":{"__raw":"` + latin1([]byte("é\u2028中😀")[:10]) + `"}}`
	var in string
	for _, r := range rows {
		in += r.msgpack
	}
	p := run(t, probe, "hex="+in, "tagged=a.\"b", "--log-level", "error")
	p.wait("ok ready")
	p.written(len(rows))
	p.do("exit")
	if status := p.end(); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	got := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
	if len(got) != len(rows) {
		t.Fatalf("%d lines, want %d", len(got), len(rows))
	}
	for i, r := range rows {
		if want := `{"tag":"a.\"b",` + r.want + "}"; got[i] != want {
			t.Errorf("%s:\n got %s\nwant %s", r.name, got[i], want)
		}
		if !json.Valid([]byte(got[i])) {
			t.Errorf("%s: no JSON: %s", r.name, got[i])
		}
	}
}

func latin1(b []byte) (s string) {
	for _, c := range b {
		s += fmt.Sprintf(`\u%04x`, c)
	}
	return s
}

func TestNoMsgpack(t *testing.T) {
	for name, in := range map[string]string{"cut": "92d7000000", "no event": "01", "unknown byte": "c1", "too deep": "92d7000000000100000002" + "81a161" + strings.Repeat("91", 100) + "01"} {
		t.Run(name, func(t *testing.T) {
			p := run(t, probe, "hex="+in)
			if p.wait("violation"); p.end() != 3 {
				t.Error("want exit status 3")
			}
		})
	}
}
