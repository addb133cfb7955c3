package position

import (
	"testing"

	"fluent-bit-docker-logs/capture/decode"
)

func BenchmarkAnchor(b *testing.B) {
	var a Anchor
	e := decode.Entry{Std: decode.Stdout, Text: make([]byte, 129)}
	b.SetBytes(130)
	b.ReportAllocs()
	for b.Loop() {
		e.TS++
		a.Push(MarkOf(&e))
	}
}
