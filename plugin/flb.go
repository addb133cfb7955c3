package main

// #include <stdlib.h>
// #include "flb.h"
import "C"

import (
	"os"
	"runtime/debug"
	"time"
	"unsafe"

	"fluent-bit-docker-logs/capture"
)

const (
	// 64 appends of at most Batch_Size bound the ring's memory, and a window of
	// 1 % has it drained at once instead of on the next Flush.
	ringCapacity = "64"
	ringWindow   = "1"
)

// The Go runtime has installed its handlers before any init function runs.
func init() {
	C.flb_save_signals()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// gcPercent has garbage collected earlier than Go does by default: lines make
// none, so it costs little, and what is left are the lists and inspects of
// discovery, hundreds of megabytes with ten thousand containers.
const gcPercent = 50

// fluentBit is the real host: one input instance of Fluent Bit. Its methods
// are called on that instance's thread.
type fluentBit struct {
	api       *C.struct_flb_api
	ins       unsafe.Pointer
	name      string
	tag       []byte // scratch: the tag with a NUL behind it
	collector C.int  // of Watch, -1 without
	engine    engineThread
	chunks    chunkFiles
	metrics   metricsOf
}

func newFluentBit(plugin *C.struct_flbgo_input_plugin) *fluentBit {
	fb := &fluentBit{api: plugin.api, ins: plugin.i_ins, name: pluginName, collector: -1, engine: findEngine("/proc/self/task")}
	if name := C.flb_name(fb.ins); name != nil {
		fb.name = C.GoString(name)
	}
	fb.metrics.name = fb.name
	fb.chunks = chunkFiles{fds: "/proc/self/fd", input: fb.name, began: time.Now()}
	return fb
}

// logLevel is the most verbose level that the instance prints, levelOff if it
// is to print nothing.
func (fb *fluentBit) logLevel() int {
	level := levelTrace
	for level > levelOff && C.flb_log_check(fb.api, fb.ins, C.int(level)) == 0 {
		level--
	}
	return level
}

// Print implements host.
func (fb *fluentBit) Print(level int, line string) {
	text := C.CString(line)
	defer C.free(unsafe.Pointer(text))
	C.flb_log_line(fb.api, C.int(level), text)
}

// Append implements host.
func (fb *fluentBit) Append(b *capture.Batch) bool {
	var cTag *C.char
	if b.Tag != "" {
		// Some filters read the tag as a C string.
		fb.tag = append(append(fb.tag[:0], b.Tag...), 0)
		cTag = (*C.char)(unsafe.Pointer(&fb.tag[0]))
	}
	return C.flb_append(fb.ins, C.size_t(b.Records), cTag, C.size_t(len(b.Tag)),
		unsafe.Pointer(unsafe.SliceData(b.Buf)), C.size_t(len(b.Buf))) == 0
}

// Counters implements host.
func (fb *fluentBit) Counters() counters {
	if C.flb_can_read_counters() == 0 {
		return counters{}
	}
	var size C.size_t
	text := C.flb_counters(fb.api, fb.ins, &size)
	if text == nil {
		return counters{}
	}
	defer C.flb_counters_free(text)
	return parseCounters(unsafe.Slice((*byte)(unsafe.Pointer(text)), int(size)), fb.name)
}

// EngineWaits implements host.
func (fb *fluentBit) EngineWaits() bool { return fb.engine.waits() }

// StopsWithTasks implements host.
func (fb *fluentBit) StopsWithTasks() bool {
	return C.flb_stop_waits_for_chunks() == 0 && !fb.chunks.look()
}

// Watch implements host.
func (fb *fluentBit) Watch(fd int) bool {
	fb.collector = C.flb_watch(fb.ins, C.int(fd))
	return fb.collector >= 0
}

// Unwatch implements host.
func (fb *fluentBit) Unwatch() {
	if fb.collector >= 0 {
		C.flb_unwatch(fb.ins, fb.collector)
	}
}

// KeepSignals implements host.
func (fb *fluentBit) KeepSignals() { C.flb_restore_signals() }

// Publish implements host.
func (fb *fluentBit) Publish(totals func() capture.Totals) { fb.metrics.publish(totals) }

func (fb *fluentBit) shortenRing() {
	capacity, window := C.CString(ringCapacity), C.CString(ringWindow)
	defer C.free(unsafe.Pointer(capacity))
	defer C.free(unsafe.Pointer(window))
	C.flb_shorten_ring(fb.ins, capacity, window)
}
