package discovery

import (
	"context"
	"testing"

	"fluent-bit-docker-logs/capture/container"
)

// What happens to a container while it is inspected has it inspected once more; one that
// is not is left alone.
func TestInquiryIsRepeated(t *testing.T) {
	asked, answer := make(chan string), make(chan struct{})
	a := &inquiries{byID: map[string]*inquiry{}}
	a.do = func(_ context.Context, seen *container.Container, _, _ bool) {
		asked <- seen.ID
		<-answer
	}
	a.repeat("web")
	a.ask(t.Context(), &container.Container{ID: "web"}, false, false)
	<-asked
	a.repeat("web")
	answer <- struct{}{}
	<-asked
	answer <- struct{}{}
	a.mu.Lock()
	done := a.done()
	a.mu.Unlock()
	if done != nil {
		<-done
	}
}
