package plot

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Bar is a horizontal bar of parts, one behind the other.
type Bar struct {
	Name   string
	Values []float64 // of its parts
	Note   string    // behind it
	Strong bool      // it is what the others are compared with
	Bad    bool      // the note tells of something that should not be
	Apart  bool      // from those above it
}

// Bars is a chart of bars. The longest is that of the greatest sum of parts. All begin at zero.
type Bars struct {
	Title string
	Unit  string // see [Format]
	Parts []string
	Rows  []Bar
}

// The drawing's measures, in its own units.
const (
	panelWidth   = 552.0
	panelGap     = 24.0
	barHeight    = 14.0
	barStep      = 22.0
	barsTop      = 34.0 // of a panel, above its bars
	barsBottom   = 18.0
	drawingTop   = 76.0
	drawingSide  = 20.0
	apart        = 10.0
	leastForNote = 60.0
)

// drawingStyle is for a drawing that stands alone; its colours are those of [Style].
const drawingStyle = `
  :root { color-scheme: light dark; --page: #ffffff; --line: #e4e3df; --text: #1d1c1a; --soft: #6b6a66; --c0: #2a78d6; --c1: #eb6834; --c7: #a9a8a3; --c7b: #d9d8d3; --bad: #c6362f; }
  @media (prefers-color-scheme: dark) { :root { --page: #161615; --line: #353431; --text: #f0efec; --soft: #a19f98; --c0: #4c94ea; --c7: #73726d; --c7b: #45443f; --bad: #f0807a; } }
  .page { fill: var(--page); }
  text { fill: var(--soft); font: 12px system-ui, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
  .h1 { fill: var(--text); font-size: 19px; font-weight: 600; } .h2 { fill: var(--text); font-size: 14px; font-weight: 600; }
  .strong { fill: var(--text); font-weight: 600; }
  .bad { fill: var(--bad); }
  line { stroke: var(--line); }
  .p0 { fill: var(--c7); } .p1 { fill: var(--c7b); } .own.p0 { fill: var(--c0); } .own.p1 { fill: var(--c0); fill-opacity: 0.4; }
`

// total is the length of a bar.
func (b Bar) total() (sum float64) {
	for _, v := range b.Values {
		sum += v
	}
	return sum
}

// foot is where the bars end.
func (b Bars) foot() float64 {
	y := barsTop + barStep*float64(len(b.Rows))
	for _, r := range b.Rows {
		if r.Apart {
			y += apart
		}
	}
	return y
}

func (b Bars) height() float64 { return b.foot() + barsBottom }

// Drawing is an SVG document of charts, two beside each other. It is light or dark as the reader's system is. Bars
// have two parts.
func Drawing(title, below string, all []Bars) string {
	var body strings.Builder
	y, width := drawingTop, 2*drawingSide+panelWidth
	if len(all) > 1 {
		width += panelGap + panelWidth
	}
	for i := 0; i < len(all); i += 2 {
		tallest := 0.0
		for k, b := range all[i:min(i+2, len(all))] {
			fmt.Fprintf(&body, `<g transform="translate(%.0f %.0f)">`, drawingSide+float64(k)*(panelWidth+panelGap), y)
			b.draw(&body)
			body.WriteString("</g>\n")
			tallest = max(tallest, b.height())
		}
		y += tallest
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" role=\"img\" aria-label=\"%s\">\n<style>%s</style>\n<rect class=\"page\" width=\"%.0f\" height=\"%.0f\"/>\n",
		width, y, width, html.EscapeString(title), drawingStyle, width, y)
	fmt.Fprintf(&b, `<text class="h1" x="%.0f" y="34">%s</text><text x="%.0f" y="55">%s</text>`, drawingSide, html.EscapeString(title), drawingSide, html.EscapeString(below))
	if len(all) > 0 {
		legend(&b, width, all[0].Parts)
	}
	b.WriteString("\n" + body.String() + "</svg>\n")
	return b.String()
}

// legend names the parts, at the right.
func legend(b *strings.Builder, width float64, parts []string) {
	x := width - drawingSide
	for i, name := range slices.Backward(parts) {
		x -= textWidth(name)
		fmt.Fprintf(b, `<text x="%.0f" y="55">%s</text>`, x, html.EscapeString(name))
		x -= 32
		fmt.Fprintf(b, `<rect class="own p%d" x="%.0f" y="46" width="11" height="10" rx="2"/><rect class="p%d" x="%.0f" y="46" width="11" height="10" rx="2"/>`, i, x, i, x+13)
		x -= 20
	}
}

// draw is a panel: its title, and a bar a line.
func (b Bars) draw(w *strings.Builder) {
	left, right, longest := 0.0, leastForNote, 0.0
	for _, r := range b.Rows {
		left, right, longest = max(left, textWidth(r.Name)+beside), max(right, textWidth(r.Note)+beside), max(longest, r.total())
	}
	if longest <= 0 {
		longest = 1
	}
	scale := (panelWidth - left - right) / longest
	fmt.Fprintf(w, `<text class="h2" x="0" y="18">%s</text>`, html.EscapeString(b.Title))
	if len(b.Rows) == 0 {
		fmt.Fprintf(w, `<text x="0" y="%.0f">no data</text>`, barsTop+barHeight)
	}
	y := barsTop
	for _, r := range b.Rows {
		x, class, text := left, "", ""
		if r.Strong {
			class, text = "own ", ` class="strong"`
		}
		if r.Apart {
			y += apart
		}
		fmt.Fprintf(w, `<text%s x="%.1f" y="%.1f" text-anchor="end">%s</text>`, text, left-beside, y+barHeight-3, html.EscapeString(r.Name))
		for part, v := range r.Values {
			if part < len(b.Parts) {
				fmt.Fprintf(w, `<rect class="%sp%d" x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="2"><title>%s: %s</title></rect>`,
					class, part, x, y, v*scale, barHeight, html.EscapeString(b.Parts[part]), html.EscapeString(Format(v, b.Unit)))
			}
			x += v * scale
		}
		if r.Bad {
			text = ` class="bad"`
		}
		fmt.Fprintf(w, `<text%s x="%.1f" y="%.1f">%s</text>`, text, x+beside, y+barHeight-3, html.EscapeString(r.Note))
		y += barStep
	}
	fmt.Fprintf(w, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, left-0.5, left-0.5, barsTop-4, b.foot())
}
