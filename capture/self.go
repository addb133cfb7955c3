package capture

import (
	"os"
	"regexp"
	"strings"
)

// ownMount matches the mount of a file that the Engine puts into every
// container: field 4 of /proc/self/mountinfo is the file's path on the host,
// field 5 where it appears. On the host itself, where the mounts of all
// containers show, it does not match.
var ownMount = regexp.MustCompile(`/containers/([0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) `)

// ownContainer is the id of the container that this process runs in, "" if
// it runs in none.
func ownContainer() string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	return ownContainerIn(string(b))
}

func ownContainerIn(mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		if m := ownMount.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return ""
}
