package stream

import (
	"errors"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/reader"
)

// Reasons are why a log is opened again. The metric has them as a label.
var Reasons = []string{"eof", "engine_down", "backpressure", "silent", "stalled", "bad_data", "engine_error", "recycled", "other"}

// reasonOf is the one for which a read ended.
func reasonOf(err error) string {
	switch {
	case err == nil:
		return "eof"
	case errors.Is(err, engine.ErrDown):
		return "engine_down"
	case errors.Is(err, reader.ErrBackpressure):
		return "backpressure"
	case errors.Is(err, reader.ErrSilent):
		return "silent"
	case errors.Is(err, reader.ErrStalled):
		return "stalled"
	case errors.Is(err, reader.ErrRecycled):
		return "recycled"
	case errors.Is(err, decode.ErrBadFrame):
		return "bad_data"
	}
	var se decode.SystemError
	if errors.As(err, &se) {
		return "engine_error"
	}
	return "other"
}
