package main

// #include <stdlib.h>
// #include "flb.h"
import "C"

import (
	"time"
	"unsafe"

	"fluent-bit-docker-logs/capture"
)

// ownMetrics are the most important metrics of the capture, which Fluent Bit's
// own endpoint shows too: who scrapes that needs nothing else. They have the
// names of those at Metrics_Listen, and Fluent Bit's label.
var ownMetrics = [...]struct {
	name, help string
	gauge      C.int
	value      func(*capture.Totals) float64
}{
	{"lines_total", "Lines emitted as records.", 0, func(t *capture.Totals) float64 { return t.Lines }},
	{"gaps_total", "Times that lines were lost at the source before they could be read, or may have been: a log file was truncated.", 0, func(t *capture.Totals) float64 { return t.Gaps }},
	{"stream_rotations_total", "Stream rotations: logs opened anew and closed as they were.", 0, func(t *capture.Totals) float64 { return t.Rotations }},
	{"stream_stalls_total", "Streams that were silent while their log grew, and were opened again.", 0, func(t *capture.Totals) float64 { return t.Stalls }},
	{"lag_seconds", "How long the oldest line that was not read yet may have waited.", 1, func(t *capture.Totals) float64 { return t.Lag }},
}

// metricsOf are those of one instance of Fluent Bit.
type metricsOf struct {
	name string // of the instance
	made [len(ownMetrics)]unsafe.Pointer
}

// create makes them, at 0, where this Fluent Bit lets plugins do so. It must
// come before anybody reads the instance's metrics: from another thread, and
// without a lock around the list of them.
func (o *metricsOf) create(api *C.struct_flb_api, ins unsafe.Pointer) {
	if C.flb_can_set_metrics() == 0 {
		return
	}
	for i := range ownMetrics {
		m := &ownMetrics[i]
		name, help := C.CString(m.name), C.CString(m.help)
		o.made[i] = C.flb_metric(api, ins, m.gauge, name, help)
		C.free(unsafe.Pointer(name))
		C.free(unsafe.Pointer(help))
	}
	o.publish(func() capture.Totals { return capture.Totals{} })
}

func (o *metricsOf) publish(totals func() capture.Totals) {
	if o.made == [len(ownMetrics)]unsafe.Pointer{} {
		return
	}
	t, now := totals(), C.uint64_t(time.Now().UnixNano())
	name := C.CString(o.name)
	defer C.free(unsafe.Pointer(name))
	for i := range ownMetrics {
		if p := o.made[i]; p != nil {
			m := &ownMetrics[i]
			C.flb_metric_set(p, m.gauge, now, C.double(m.value(&t)), name)
		}
	}
}
