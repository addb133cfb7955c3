// Command neighbour is another Go plugin in the same Fluent Bit: an output
// that recovers from a nil dereference at each flush, and says so.
package main

import "C"

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/fluent/fluent-bit-go/output"
)

func main() {}

//export FLBPluginRegister
func FLBPluginRegister(def unsafe.Pointer) int {
	return output.FLBPluginRegister(def, "neighbour", "recovers")
}

//export FLBPluginInit
func FLBPluginInit(unsafe.Pointer) int { return output.FLB_OK }

//export FLBPluginFlush
func FLBPluginFlush(unsafe.Pointer, C.int, *C.char) (code int) {
	defer func() {
		if recover() != nil {
			fmt.Fprintln(os.Stderr, "neighbour recovered")
			code = output.FLB_OK
		}
	}()
	var p *int
	*p = 1
	return output.FLB_ERROR
}

//export FLBPluginExit
func FLBPluginExit() int { return output.FLB_OK }
