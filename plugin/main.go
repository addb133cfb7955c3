package main

// #include "flb.h"
import "C"

import "unsafe"

func main() {}

//export goRegister
func goRegister(def *C.struct_flb_plugin_proxy_def) C.int {
	return C.int(guarded(-1, func() int { return register(def) }))
}

//export goUnregister
func goUnregister(def *C.struct_flb_plugin_proxy_def) {
	guarded(0, func() int { return unregister(def) })
}

//export goInit
func goInit(plugin *C.struct_flbgo_input_plugin) C.int {
	return C.int(guarded(C.FLB_ERROR, func() int { return open(plugin) }))
}

//export goCollect
func goCollect() {
	guarded(0, func() int { return current().collect() })
}

//export FLBPluginInputPause
func FLBPluginInputPause() {
	guarded(0, func() int { return current().pause() })
}

//export FLBPluginInputResume
func FLBPluginInputResume() {
	guarded(0, func() int { return current().resume() })
}

// FLBPluginInputCallback is what Fluent Bit polls once a second. It does so
// with or without need: it would call NULL if it were missing. Records take the
// way of goCollect.
//
//export FLBPluginInputCallback
func FLBPluginInputCallback(data *unsafe.Pointer, size *C.size_t) C.int {
	*data, *size = nil, 0
	return 0
}

//export FLBPluginExit
func FLBPluginExit() C.int {
	return C.int(guarded(C.FLB_ERROR, func() int { closeCurrent(); return C.FLB_OK }))
}
