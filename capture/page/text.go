package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// stamp is a time with its date and zone.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// count is a number as a person reads it.
func count(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f G", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1f k", n/1e3)
	case n < 10 && n != float64(int(n)):
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// size is a number of bytes as a person reads it.
func size(n float64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%.0f B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.0f KiB", n/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", n/(1<<30))
}

// span is a time in seconds as a person reads it.
func span(s float64) string {
	switch {
	case s <= 0:
		return "none"
	case s < 1:
		return fmt.Sprintf("%.0f ms", max(1, s*1000))
	case s < 90:
		return fmt.Sprintf("%.0f s", s)
	case s < 5400:
		return fmt.Sprintf("%.0f min", s/60)
	case s < 36000:
		return fmt.Sprintf("%.1f h", s/3600)
	case s < 172800:
		return fmt.Sprintf("%.0f h", s/3600)
	}
	return fmt.Sprintf("%.0f days", s/86400)
}

// several is a number of things.
func several(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// clip shortens what somebody else wrote.
func clip(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// sparkPoints are the rates as the points of an SVG polyline, the newest at the
// right, in a box of points-1 by sparkHeight. Of equal ones in a row only the first
// and the last are drawn.
func sparkPoints(rates []float32) string {
	var b strings.Builder
	top := max(1, peak(rates))
	y := func(i int) int { return sparkHeight - int((sparkHeight-1)*rates[i]/top+.5) }
	for i := range rates {
		if i > 0 && i < len(rates)-1 && y(i) == y(i-1) && y(i) == y(i+1) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d,%d", i+points-len(rates), y(i))
	}
	return b.String()
}

// sparkHeight is how high a sparkline is, in its own units.
const sparkHeight = 20

func peak(rates []float32) (most float32) {
	for _, r := range rates {
		most = max(most, r)
	}
	return most
}
