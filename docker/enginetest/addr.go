package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreeAddr returns an address on the loopback interface that nobody listens on. Its port is none of those that the kernel
// hands out, so it stays free until somebody asks for it by its number.
func FreeAddr() (string, error) {
	var err error
	for range 100 {
		var l net.Listener
		addr := fmt.Sprint("127.0.0.1:", 20_000+rand.IntN(10_000))
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no free port: %w", err)
}
