package version

import (
	"fmt"
	"strconv"
	"strings"
)

// API is an API version. 1.51 is 151 as long as the major version is 1.
type API int

// The API versions at which something changed that the fake imitates.
const (
	V141 API = 141 // Engine 20.10: a single log file is renamed
	V142 API = 142 // Engine 23: content type of a multiplexed stream; the local driver keeps newlines
	V143 API = 143 // Engine 24: since is a gate
	V147 API = 147 // Engine 27.5: a damage ends the file that it is in, and no more
	V152 API = 152 // Engine 29: no deprecated fields in events; a minimum of 1.44
)

// releases are the Engines by what they speak up to.
var releases = map[API]string{
	140: "19.03.15", 141: "20.10.24", 142: "23.0.6", 143: "24.0.9", 144: "25.0.6", 145: "26.1.5", 146: "27.1.2",
	147: "27.5.1", 148: "28.0.4", 149: "28.1.1", 150: "28.3.3", 151: "28.5.2", 152: "29.0.4", 154: "29.5.0",
}

// Parse reads "1.51"; ok says that it is a version.
func Parse(s string) (v API, ok bool) {
	major, minor, ok := strings.Cut(s, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return API(a*100 + b), ok && err1 == nil && err2 == nil
}

// String implements fmt.Stringer.
func (v API) String() string { return fmt.Sprintf("%d.%02d", v/100, v%100) }

// Release is an Engine that speaks up to it.
func (v API) Release() string {
	if r, ok := releases[v]; ok {
		return r
	}
	return fmt.Sprintf("29.0.0-api%v", v)
}
