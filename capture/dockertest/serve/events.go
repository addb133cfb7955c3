package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/events"
	"fluent-bit-docker-logs/capture/dockertest/listen"
	"fluent-bit-docker-logs/capture/dockertest/podman"
	"fluent-bit-docker-logs/capture/dockertest/version"
	"fluent-bit-docker-logs/capture/dockertest/wait"
)

func serveEvents(w http.ResponseWriter, r *http.Request, hub *events.Hub, spoken *version.Spoken, clock func() time.Time) {
	since, err1 := parseTime(r.FormValue("since"))
	until, err2 := parseTime(r.FormValue("until"))
	filters, err3 := parseFilters(r.FormValue("filters"))
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	_ = flush()

	s, ok := hub.Subscribe(r.Context(), since, listen.Cutter(r))
	if !ok {
		return
	}
	defer s.Leave()
	var timeout <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timeout = t.C
	}
	api := spoken.API()
	out := json.NewEncoder(w)
	for {
		batch, delay, ended := s.Take()
		for _, ev := range batch {
			told := ev
			if spoken.Podman != "" {
				if names, ok := podman.Actions[ev.Action]; ok {
					ev.Action, told.Action = names[0], names[1]
				}
			}
			if !matches(&ev, filters) || !until.IsZero() && ev.Time.After(until) {
				continue
			}
			if delay > 0 && !wait.Sleep(r.Context(), delay-clock().Sub(ev.Time)) {
				return
			}
			if out.Encode(messageOf(&told, api)) != nil {
				return
			}
		}
		if len(batch) > 0 {
			_ = flush()
			continue
		}
		if ended {
			return
		}
		select {
		case <-s.Wake:
		case <-timeout:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func matches(ev *events.Event, f filters) bool {
	return f.match("type", func(v string) bool { return v == ev.Type }) &&
		f.match("event", func(v string) bool { return v == ev.Action || strings.HasPrefix(ev.Action, v+":") }) &&
		f.match("label", func(v string) bool { return hasLabel(ev.Attributes, v) }) &&
		f.match("container", func(v string) bool {
			return ev.Type == "container" && (strings.HasPrefix(ev.ID, v) || ev.Attributes["name"] == strings.TrimPrefix(v, "/"))
		})
}

type message struct {
	Status string `json:"status,omitempty"`
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
	Type   string
	Action string
	Actor  struct {
		ID         string
		Attributes map[string]string
	}
	Scope    string `json:"scope"`
	Time     int64  `json:"time"`
	TimeNano int64  `json:"timeNano"`
}

func messageOf(ev *events.Event, api version.API) message {
	m := message{Type: ev.Type, Action: ev.Action, Scope: "local", Time: ev.Time.Unix(), TimeNano: ev.Time.UnixNano()}
	m.Actor.ID, m.Actor.Attributes = ev.ID, ev.Attributes
	if api < version.V152 && ev.Type == "container" {
		m.Status, m.ID, m.From = ev.Action, ev.ID, ev.Attributes["image"]
	}
	return m
}
