package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var barPlace = regexp.MustCompile(`<rect class="(own )?p\d" x="([-0-9.]+)" y="[^"]*" width="([-0-9.]+)" height="14"`)

// TestDrawing: it is well-formed, whatever the names say; bars are as long as their values and end inside of their panel.
func TestDrawing(t *testing.T) {
	bars := Bars{Title: `a <b> & "c"`, Unit: "s", Parts: []string{"<x>", "y"}, Rows: []Bar{
		{Name: "the one", Values: []float64{1, 1}, Note: "2 s", Strong: true},
		{Name: "<another> with a long name", Values: []float64{8, 0}, Note: "8 s, 1,234,567 lost", Bad: true, Apart: true},
		{Name: "nothing"},
	}}
	for n := range 4 {
		text := Drawing("all <of> them", "below & beside", []Bars{bars, {}, bars}[:n])
		for d := xml.NewDecoder(strings.NewReader(text)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Error(text)
		}
		if n != 1 {
			continue
		}
		var widths []float64
		for _, m := range barPlace.FindAllStringSubmatch(text, -1) {
			x, _ := strconv.ParseFloat(m[2], 64)
			width, _ := strconv.ParseFloat(m[3], 64)
			widths = append(widths, width)
			if x < 0 || x+width > panelWidth {
				t.Errorf("a bar from %g to %g", x, x+width)
			}
		}
		if len(widths) != 4 || widths[0] != widths[1] || widths[3] != 0 || widths[2] < 7.9*widths[0] || widths[2] > 8.1*widths[0] {
			t.Errorf("bars of %v", widths)
		}
	}
}
