// Package plot draws time series as SVG for pages that stand alone. Its colours are those of the page's style sheet
// ([Style]), light or dark as the reader's system is.
package plot

import (
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"unicode/utf8"
)

// Style is the style sheet of a page with charts.
//
//go:embed style.css
var Style template.CSS

// Colors is how many colours the series of a chart have. Further ones share the last.
const Colors = 8

// Series is one line of a chart. A Y of NaN interrupts it.
type Series struct {
	Name string
	X    []float64 // seconds, ascending
	Y    []float64 // as many as X
}

// Mark is a moment that a chart points at.
type Mark struct {
	X    float64 // seconds
	Text string
}

// Chart is some series over the same time. Its y axis begins at zero, so that what is flat looks flat.
type Chart struct {
	Title  string
	Unit   string // see [Format]
	Series []Series
	Marks  []Mark
	Wide   bool // twice as wide as others beside it
}

// The drawing's size and margins, in its own units. A wide chart has the height of others beside it. At the left there is
// room for the widest value, and leastLeft at least.
const (
	height                        = 190
	leastLeft, right, top, bottom = 58, 14, 16, 24
	// beside is how far a value stands from the grid, digit how wide a digit of the widest usual font is.
	beside, digit = 8, 7.3
)

func (c Chart) width() float64 {
	if c.Wide {
		return 1120
	}
	return 552
}

// scale maps values to places of the drawing.
type scale struct{ x0, x1, y1, width, left float64 }

func (s scale) x(v float64) float64 { return s.left + (v-s.x0)/(s.x1-s.x0)*(s.width-s.left-right) }

// over is the middle of a text that stands at v, and inside of the drawing.
func (s scale) over(v float64, text string) float64 {
	half := textWidth(text)/2 + 2
	return min(max(s.x(v), half), s.width-half)
}

func textWidth(text string) float64 { return digit * float64(utf8.RuneCountInString(text)) }

func (s scale) y(v float64) float64 { return height - bottom - v/s.y1*(height-top-bottom) }

// scale fits the chart's values.
func (c Chart) scale() scale {
	s := scale{x0: math.Inf(1), x1: math.Inf(-1), width: c.width(), left: leastLeft}
	for _, r := range c.Series {
		for i, x := range r.X {
			s.x0, s.x1 = min(s.x0, x), max(s.x1, x)
			if !math.IsNaN(r.Y[i]) {
				s.y1 = max(s.y1, r.Y[i])
			}
		}
	}
	if math.IsInf(s.x0, 0) {
		s.x0, s.x1 = 0, 1
	}
	if s.x1 <= s.x0 {
		s.x1 = s.x0 + 1
	}
	if s.y1 <= 0 {
		s.y1 = 1
	}
	step := Step(s.y1, 4, c.Unit)
	s.y1 = math.Ceil(s.y1/step-1e-9) * step
	for _, v := range c.values(s) {
		s.left = max(s.left, beside+textWidth(Format(v, c.Unit)))
	}
	return s
}

// values are those at which the grid has a line.
func (c Chart) values(s scale) (all []float64) {
	for step, v := Step(s.y1, 4, c.Unit), 0.0; v <= s.y1*1.0001; v += step {
		all = append(all, v)
	}
	return all
}

// SVG is the chart as a figure with its title. One of more than one series has a
// legend.
func (c Chart) SVG() template.HTML {
	s := c.scale()
	var b strings.Builder
	fmt.Fprintf(&b, `<figure%s><figcaption>%s`, map[bool]string{true: ` class="wide"`}[c.Wide], html.EscapeString(c.Title))
	if len(c.Series) > 1 {
		b.WriteString(`<span class="legend">`)
		for i, r := range c.Series {
			fmt.Fprintf(&b, `<span><i class="s%d"></i>%s</span>`, color(i), html.EscapeString(r.Name))
		}
		b.WriteString(`</span>`)
	}
	fmt.Fprintf(&b, `</figcaption><svg viewBox="0 0 %.0f %d" role="img" aria-label="%s">`, s.width, height, html.EscapeString(c.Title))
	c.grid(&b, s)
	for i, r := range c.Series {
		fmt.Fprintf(&b, `<path class="s%d" d="%s"/>`, color(i), path(s, r))
	}
	if len(c.Series) == 0 {
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">no data</text>`, s.width/2, height/2)
	}
	b.WriteString("</svg></figure>\n")
	return template.HTML(b.String()) //nolint:gosec // all text in it was escaped
}

func color(i int) int { return min(i, Colors-1) }

// grid draws the axes, their labels and the marks.
func (c Chart) grid(b *strings.Builder, s scale) {
	for _, v := range c.values(s) {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, s.left, s.width-right, s.y(v), s.y(v))
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`, s.left-beside, s.y(v)+4, html.EscapeString(Format(v, c.Unit)))
	}
	step := timeStep(s.x1 - s.x0)
	for x := math.Ceil(s.x0/step) * step; x <= s.x1; x += step {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, s.over(x, Clock(x)), height-6, Clock(x))
	}
	for _, m := range c.Marks {
		if m.X < s.x0 || m.X > s.x1 {
			continue
		}
		fmt.Fprintf(b, `<line class="mark" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, s.x(m.X), s.x(m.X), top, height-bottom)
		fmt.Fprintf(b, `<text class="mark" x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			s.over(m.X, m.Text), top-5, html.EscapeString(m.Text))
	}
}

// path is the series as SVG path data, thinned to what can be seen.
func path(s scale, r Series) string {
	var b strings.Builder
	pen := "M"
	last := math.Inf(-1)
	for i, x := range r.X {
		switch {
		case math.IsNaN(r.Y[i]):
			pen = "M"
		case i == len(r.X)-1 || r.Y[i] != before(r.Y, i) || s.x(x)-last >= 2:
			fmt.Fprintf(&b, "%s%.1f %.1f", pen, s.x(x), s.y(r.Y[i]))
			pen, last = "L", s.x(x)
		}
	}
	return b.String()
}

// before is the value before number i, NaN for the first.
func before(y []float64, i int) float64 {
	if i == 0 {
		return math.NaN()
	}
	return y[i-1]
}
