package plot

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Format is v as a person reads it. The unit is "B" (bytes), "s" (seconds), or any other text, which follows the number.
func Format(v float64, unit string) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case unit == "B":
		return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB"})
	case unit == "s" && math.Abs(v) >= 120:
		return time.Duration(v * float64(time.Second)).Round(time.Second).String()
	case unit == "s" && v != 0 && math.Abs(v) < 1:
		return number(v*1000) + " ms"
	}
	text := number(v)
	if math.Abs(v) >= 100_000 {
		text = scaled(v, 1000, []string{"", "k", "M", "G"})
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}

// Count is n with commas between its thousands.
func Count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func scaled(v, base float64, units []string) string {
	i := 0
	for math.Abs(v) >= base && i < len(units)-1 {
		v, i = v/base, i+1
	}
	return strings.TrimSpace(number(v) + " " + units[i])
}

// number has three digits that count, and no zeros behind a point.
func number(v float64) string {
	if v == math.Trunc(v) || math.Abs(v) >= 100 {
		return Count(int(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Step is a round distance between marks of an axis. It divides limit into at
// most n or so parts.
func Step(limit float64, n int, unit string) float64 {
	base := 1.0
	if unit == "B" {
		for limit/base >= 1024 {
			base *= 1024
		}
	}
	raw := limit / base / float64(n)
	magnitude := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*magnitude >= raw*0.999 {
			return m * magnitude * base
		}
	}
	return raw * base
}

// timeStep is a round distance in seconds that divides span into at most eight parts.
func timeStep(span float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200} {
		if span/s <= 8 {
			return s
		}
	}
	return span / 8
}

// Clock is a time since the beginning, as m:ss.
func Clock(seconds float64) string {
	n := int(math.Round(seconds))
	return fmt.Sprintf("%d:%02d", n/60, n%60)
}
