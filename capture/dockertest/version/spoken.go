package version

import (
	"fmt"
	"sync"
)

// Spoken is what the Engine speaks as. It may change while the Engine runs.
type Spoken struct {
	Podman string // its version; "": the Engine is Docker's; immutable

	mu       sync.Mutex
	api, low API
}

// Set makes the Engine another release. It speaks up to api and refuses requests below low. An empty low is what that
// release has: "1.44" from 1.52 on, "1.24" before. It panics if one of them is no version.
func (s *Spoken) Set(api, low string) {
	v, ok := Parse(api)
	if low == "" {
		low = "1.24"
		if v >= V152 {
			low = "1.44"
		}
	}
	least, ok2 := Parse(low)
	if !ok || !ok2 {
		panic(fmt.Sprintf("dockertest: API versions %q, %q", api, low))
	}
	s.mu.Lock()
	s.api, s.low = v, least
	s.mu.Unlock()
}

// API is the highest version that it speaks.
func (s *Spoken) API() API {
	api, _ := s.Versions()
	return api
}

// Versions are the highest that it speaks, and the lowest.
// Requests below that are refused.
func (s *Spoken) Versions() (api, low API) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.api, s.low
}
