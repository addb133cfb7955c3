package serve

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/containers"
)

type summary struct {
	ID         string `json:"Id"`
	Names      []string
	Image      string
	ImageID    string
	Command    string
	Created    int64
	Ports      []struct{}
	Labels     map[string]string
	State      string
	Status     string
	HostConfig map[string]string
	Mounts     []struct{}
}

// serveList answers newest first, like dockerd. The filters id, name, label and status are honoured, others ignored.
func serveList(w http.ResponseWriter, r *http.Request, set *containers.Set, now time.Time) {
	filters, err := parseFilters(r.FormValue("filters"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	all := boolValue(r, "all") || len(filters["status"]) > 0
	found := set.List(func(v *containers.View) bool { return (all || v.Runs()) && fits(v, filters) })
	list := make([]summary, 0, len(found))
	for i := range found {
		v := &found[i]
		list = append(list, summary{
			ID: v.Spec.ID, Names: []string{"/" + v.Name}, Image: listedImage(v), ImageID: v.Spec.ImageID(), Command: "/app", Created: v.Created.Unix(), Ports: []struct{}{},
			Labels: labels(v), State: v.State, Status: status(v, now), HostConfig: map[string]string{"NetworkMode": "bridge"}, Mounts: []struct{}{},
		})
	}
	reply(w, http.StatusOK, list)
}

func fits(v *containers.View, f filters) bool {
	return f.match("status", func(s string) bool { return s == v.State }) &&
		f.match("id", func(s string) bool { return strings.HasPrefix(v.Spec.ID, s) }) &&
		f.match("name", func(s string) bool { return strings.Contains("/"+v.Name, s) }) &&
		f.match("label", func(s string) bool { return hasLabel(v.Spec.Labels, s) })
}

// listedImage is how the list names the image.
// It is by its id once the name stands for another.
func listedImage(v *containers.View) string {
	if v.Untagged {
		return v.Spec.ImageID()
	}
	return v.Spec.Image
}

// labels are not null.
func labels(v *containers.View) map[string]string {
	if v.Spec.Labels == nil {
		return map[string]string{}
	}
	return v.Spec.Labels
}

func status(v *containers.View, now time.Time) string {
	switch v.State {
	case "running":
		return fmt.Sprintf("Up %d seconds", int(now.Sub(v.Started).Seconds()))
	case "paused":
		return fmt.Sprintf("Up %d seconds (Paused)", int(now.Sub(v.Started).Seconds()))
	case "exited":
		return fmt.Sprintf("Exited (%d) %d seconds ago", v.ExitCode, int(now.Sub(v.Ended).Seconds()))
	}
	return "Created"
}
