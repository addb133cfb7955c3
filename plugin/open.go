package main

// #include "flb.h"
import "C"

import (
	"runtime"
	"unsafe"

	"github.com/fluent/fluent-bit-go/input"
	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture"
)

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
	fb.metrics.create(fb.api, fb.ins)
	in.capture(collector)
	in.hide = collector.Show(fb.name, metrics)
	fb.shortenRing()
	return in.watch()
}
