package main

// #include <stdlib.h>
// #include "flb.h"
import "C"

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"

	"github.com/fluent/fluent-bit-go/input"
	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture"
)

const (
	pluginName        = "docker_logs"
	pluginDescription = "Logs of all containers of a Docker Engine"

	// 64 appends of at most 256 KiB bound the ring's memory, and a window of
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
	metrics   [len(ownMetrics)]unsafe.Pointer
}

func newFluentBit(plugin *C.struct_flbgo_input_plugin) *fluentBit {
	fb := &fluentBit{api: plugin.api, ins: plugin.i_ins, name: pluginName, collector: -1, engine: findEngine("/proc/self/task")}
	if name := C.flb_name(fb.ins); name != nil {
		fb.name = C.GoString(name)
	}
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
func (fb *fluentBit) Append(tag string, buf []byte) bool {
	var cTag *C.char
	if tag != "" {
		// Some filters read the tag as a C string.
		fb.tag = append(append(fb.tag[:0], tag...), 0)
		cTag = (*C.char)(unsafe.Pointer(&fb.tag[0]))
	}
	return C.flb_append(fb.ins, cTag, C.size_t(len(tag)),
		unsafe.Pointer(unsafe.SliceData(buf)), C.size_t(len(buf))) == 0
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

func (fb *fluentBit) shortenRing() {
	capacity, window := C.CString(ringCapacity), C.CString(ringWindow)
	defer C.free(unsafe.Pointer(capacity))
	defer C.free(unsafe.Pointer(window))
	C.flb_shorten_ring(fb.ins, capacity, window)
}

// open makes the instance of the [INPUT] section that plugin stands for.
func open(plugin *C.struct_flbgo_input_plugin) (code int) {
	C.flb_restore_signals()
	fb := newFluentBit(plugin)
	in := newInstance(fb, fb.name, fb.logLevel())
	defer func() {
		if code != input.FLB_OK { // also after a panic
			in.close()
		}
		in.lines.flush()
	}()
	in.log.Info("docker_logs", "version", capture.Version())
	if err := configure(in, fb, plugin); err != nil {
		in.log.Error(err.Error())
		return input.FLB_ERROR
	}
	instances.add(threadID(), in)
	in.log.Debug("opened", "goroutines", runtime.NumGoroutine())
	return input.FLB_OK
}

func configure(in *instance, fb *fluentBit, plugin *C.struct_flbgo_input_plugin) error {
	cfg, err := capture.ParseConfig(func(key string) string {
		return input.FLBPluginConfigKey(unsafe.Pointer(plugin), key)
	})
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	collector, err := capture.New(cfg, in.log, prometheus.WrapRegistererWith(prometheus.Labels{"instance": fb.name}, metrics), in.wake)
	if err != nil {
		return err
	}
	if fb.StopsWithTasks() {
		in.log.Warn("this Fluent Bit (before 4.0.3) throws away what is in memory only when it stops: unless storage.type is filesystem, lines come twice after each stop, and with a slow output may be lost")
	}
	fb.makeMetrics()
	in.capture(collector)
	in.hide = collector.Show(fb.name, metrics)
	fb.shortenRing()
	return in.watch()
}

func register(def *C.struct_flb_plugin_proxy_def) int {
	C.flb_restore_signals()
	input.FLBPluginRegister(unsafe.Pointer(def), pluginName, pluginDescription+", version "+capture.Version())
	var m *C.struct_flb_config_map
	if C.flb_takes_config_map(def) != 0 {
		m = configMap()
	}
	C.flb_complete_def(def, m)
	return 0
}

// unregister frees what register has given to this def and nothing else: after
// a hot reload another registration is in use.
func unregister(def *C.struct_flb_plugin_proxy_def) int {
	input.FLBPluginUnregister(unsafe.Pointer(def))
	return 0
}

// configMap is the option table in Fluent Bit's form. It is read only, so all
// registrations share it for the life of the process.
var configMap = sync.OnceValue(func() *C.struct_flb_config_map {
	options := capture.Options()
	size := C.size_t(unsafe.Sizeof(C.struct_flb_config_map{}))
	first := (*C.struct_flb_config_map)(C.calloc(C.size_t(len(options)+1), size)) // a zero entry ends it
	entries := unsafe.Slice(first, len(options))
	for i, o := range options {
		entries[i]._type = C.FLB_CONFIG_MAP_STR
		entries[i].name = C.CString(o.Key)
		entries[i].desc = C.CString(o.Help)
		if o.Default != "" {
			entries[i].def_value = C.CString(o.Default)
		}
	}
	return first
})
