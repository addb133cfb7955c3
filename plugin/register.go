package main

// #include <stdlib.h>
// #include "flb.h"
import "C"

import (
	"sync"
	"unsafe"

	"github.com/fluent/fluent-bit-go/input"

	"fluent-bit-docker-logs/capture"
)

const pluginDescription = "Logs of all containers of a Docker Engine"

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
