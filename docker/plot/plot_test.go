package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestSVG: what is drawn is well-formed, whatever the names say, and stays inside of the drawing.
func TestSVG(t *testing.T) {
	c := Chart{
		Title: `a <b> & "c"`, Unit: "B", Marks: []Mark{{X: 2, Text: "<here>"}, {X: 99, Text: "outside"}},
		Series: []Series{
			{Name: "<x>", X: []float64{0, 1, 2, 3}, Y: []float64{0, 5 << 20, math.NaN(), 3}},
			{Name: "y", X: []float64{0, 3}, Y: []float64{7, 7}},
		},
	}
	text := string(c.SVG())
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	if strings.Contains(text, "outside") || !strings.Contains(text, "&lt;here&gt;") || strings.Contains(text, "NaN") {
		t.Error(text)
	}
	if n := strings.Count(text, "M"+"58.0"); n != 2 { // both begin at the left edge
		t.Errorf("%d series begin at the left in\n%s", n, text)
	}
	s := c.scale()
	if s.y(0) != height-bottom || s.y(s.y1) != top || s.y1 < 5<<20 || s.x(3) != s.width-right {
		t.Errorf("scale %+v", s)
	}
	for _, empty := range []Chart{{}, {Series: []Series{{X: []float64{1}, Y: []float64{0}}}}} {
		if text := string(empty.SVG()); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Error(text)
		}
	}
}

var drawnText = regexp.MustCompile(`<text[^>]* x="([-0-9.]+)"[^>]* text-anchor="(\w+)">([^<]*)</text>`)

// TestNoTextIsCut: what stands at an edge of the drawing stands inside of it: the last tick, wide values, marks.
func TestNoTextIsCut(t *testing.T) {
	texts := 0
	for _, span := range []float64{60, 1800, 7200, 36000} {
		for _, unit := range []string{"", "B", "s", "records a second"} {
			for _, wide := range []bool{false, true} {
				c := Chart{Unit: unit, Wide: wide, Marks: []Mark{{0, "the first moment"}, {span, "the last moment"}},
					Series: []Series{{X: []float64{0, span}, Y: []float64{0, 123_456_789}}}}
				text := string(c.SVG())
				if !strings.Contains(text, ">"+Clock(span)+"<") {
					t.Errorf("the last tick is not there: %s", text)
				}
				for _, m := range drawnText.FindAllStringSubmatch(strings.ReplaceAll(text, `<text class="mark"`, "<text"), -1) {
					x, err := strconv.ParseFloat(m[1], 64)
					if err != nil {
						t.Fatal(err)
					}
					width := 7.3 * float64(len([]rune(m[3]))) // of a digit in DejaVu Sans, which is wide
					from := x - map[string]float64{"middle": width / 2, "end": width}[m[2]]
					if texts++; from < 0 || from+width > c.width() {
						t.Errorf("%q goes from %.0f to %.0f of %.0f", m[3], from, from+width, c.width())
					}
				}
			}
		}
	}
	if texts < 200 {
		t.Errorf("only %d texts were looked at", texts)
	}
}

// TestPathIsThinned: of a flat line few points are drawn, and none that differs is left out.
func TestPathIsThinned(t *testing.T) {
	r := Series{}
	for i := range 100_000 {
		r.X, r.Y = append(r.X, float64(i)), append(r.Y, 5)
	}
	r.Y[50_000] = 9
	c := Chart{Series: []Series{r}}
	d := path(c.scale(), r)
	if n := strings.Count(d, "L"); n > 400 {
		t.Errorf("%d points", n)
	}
	peak := c.scale().y(9)
	if !strings.Contains(d, Format(peak, "")) {
		t.Errorf("the peak at %v is not in %s", peak, d)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		v          float64
		unit, want string
	}{
		{0, "", "0"}, {1234, "", "1,234"}, {-1234567, "/s", "-1.23 M /s"}, {1234567, "", "1.23 M"}, {0.123456, "", "0.123"},
		{1536, "B", "1.5 KiB"}, {5 << 30, "B", "5 GiB"}, {0.0042, "s", "4.2 ms"}, {3, "s", "3 s"}, {150, "s", "2m30s"}, {math.NaN(), "s", "–"},
	} {
		if got := Format(c.v, c.unit); got != c.want {
			t.Errorf("Format(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 1234567: "1,234,567", -100: "-100"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestStep(t *testing.T) {
	for _, c := range []struct{ limit, want float64 }{{1, 0.5}, {4, 1}, {43, 20}, {0.03, 0.01}, {1000, 500}} {
		if got := Step(c.limit, 4, ""); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Step(%v) = %v, want %v", c.limit, got, c.want)
		}
	}
	if got := Step(100<<20, 4, "B"); got != 50<<20 {
		t.Errorf("Step(100 MiB) = %v", got)
	}
}
