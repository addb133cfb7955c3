package serve

import (
	"bufio"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// writeFamily writes a metric in Prometheus' text format, byte for byte as expfmt does.
//
// Those of which there is one for each container are written here: expfmt checks and escapes each name and value anew, in a
// dozen small writes a line, which was half of a scrape of 1,000 containers. It asks for names that need no quotes.
func writeFamily(out *bufio.Writer, f *dto.MetricFamily) {
	for _, m := range f.Metric {
		if m.Counter == nil && m.Gauge == nil && (m.Summary == nil || len(m.Summary.Quantile) > 0) || m.TimestampMs != nil || f.Help == nil {
			_, _ = expfmt.MetricFamilyToText(out, f)
			return
		}
	}
	name := f.GetName()
	b := append(append(append(out.AvailableBuffer(), "# HELP "...), name...), ' ')
	b = append(append(append(appendEscaped(b, f.GetHelp(), false), "\n# TYPE "...), name...), ' ')
	_, _ = out.Write(append(append(b, strings.ToLower(f.GetType().String())...), '\n'))
	for _, m := range f.Metric {
		b := out.AvailableBuffer()
		switch {
		case m.Counter != nil:
			b = appendSample(b, name, "", m.Label, m.Counter.GetValue())
		case m.Gauge != nil:
			b = appendSample(b, name, "", m.Label, m.Gauge.GetValue())
		default:
			b = appendSample(b, name, "_sum", m.Label, m.Summary.GetSampleSum())
			b = appendSample(b, name, "_count", m.Label, float64(m.Summary.GetSampleCount()))
		}
		_, _ = out.Write(b)
	}
}

// appendSample appends a line.
func appendSample(b []byte, name, suffix string, labels []*dto.LabelPair, v float64) []byte {
	b = append(append(b, name...), suffix...)
	between := byte('{')
	for _, l := range labels {
		b = append(append(append(b, between), l.GetName()...), `="`...)
		b = append(appendEscaped(b, l.GetValue(), true), '"')
		between = ','
	}
	if len(labels) > 0 {
		b = append(b, '}')
	}
	return append(appendValue(append(b, ' '), v), '\n')
}

// appendValue appends a number as Prometheus reads it.
func appendValue(b []byte, v float64) []byte {
	if n := int64(v); float64(n) == v && -1e6 < v && v < 1e6 { // where %g writes it so, too
		return strconv.AppendInt(b, n, 10)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64) // NaN, +Inf and -Inf are written so, too
}

// appendEscaped appends a text in which lines, backslashes and, within quotes, quotes are escaped.
func appendEscaped(b []byte, s string, quoted bool) []byte {
	if strings.IndexByte(s, '\\') < 0 && strings.IndexByte(s, '\n') < 0 && (!quoted || strings.IndexByte(s, '"') < 0) {
		return append(b, s...) // nearly always, and found out many bytes at a time
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\\', quoted && c == '"':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}
