package capture

import (
	"runtime/debug"
	"strings"
	"sync"
)

// version is that of a release: -ldflags "-X fluent-bit-docker-logs/capture.version=1.2.3".
var version string

// Version is the release that this is. Where none was built it is the commit,
// or "devel".
var Version = sync.OnceValue(func() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "devel"
})
