package capture_test

import (
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
)

// What no container can have is refused, in the forms that people write.
func TestSelectorsThatMatchNothing(t *testing.T) {
	for _, v := range []string{
		`"web-*"`, `'web-*'`, `name="web-*"`, `web-*;db-*`, `web-* db-*`, `^web-`, `web-.*$`, `^web$`, `/web-1`, `web|db`,
		`image="nginx*"`, `compose_project=^shop$`, `id=0123abc`, `id="0123456789ab"`, `{web,db`, `[^w]eb`,
	} {
		for _, option := range []string{"Include", "Exclude"} {
			if _, err := parse(map[string]string{option: v}); err == nil {
				t.Errorf("%s %s is accepted", option, v)
			}
		}
	}
	for _, v := range []string{"on", "On", "off,team", "team,on", `"team"`, "team stage", "^team", "true", "all", "yes", "team=blue", "app,team=*"} {
		if _, err := parse(map[string]string{"Labels": v}); err == nil {
			t.Errorf("Labels %s is accepted", v)
		}
	}
	for _, v := range []string{"docker", "docker.all"} {
		if _, err := parse(map[string]string{"Tag_Template": v}); err == nil {
			t.Errorf("Tag_Template %s is accepted", v)
		}
	}
}

// Ids may be shortened, and braces hold commas.
func TestSelectorForms(t *testing.T) {
	ctr := &container.Container{ID: strings.Repeat("0123456789ab", 5) + "0123", Name: "web-1", Image: "reg:5000/shop/web:1", Labels: map[string]string{"note": `"a b"; ^c$`}}
	for include, want := range map[string]bool{
		"id=0123456789ab": true, "id=0123456789ac": false, "id=" + ctr.ID: true, "id=" + ctr.ID[:63]: true, "id=0123456789ab*": true,
		"{web,db}-*": true, "{api,db}-*": false, "db-*, {web,x}-1 ,y": true, "[wx]eb-*": true, "[!w]eb-*": false,
		"image=*/shop/*": true, "image=reg:5000/shop/web:[12]": true, `label.note="a b"; ^c$`: true,
	} {
		c, err := parse(map[string]string{"Include": include})
		if err != nil {
			t.Errorf("Include %s: %v", include, err)
		} else if have := c.Wanted(ctr, ""); have != want {
			t.Errorf("Include %s: %v", include, have)
		}
	}
}

// What matches none of the containers at the start is said.
func TestUnmatchedSelectorsAreSaid(t *testing.T) {
	const nothing, some = "no container that exists matches, nothing is captured", "no container that exists matches these globs"
	const labels = "no container that exists has a label of such a name"
	e := dockertest.Start(t)
	e.Run(dockertest.Container{Name: "web", Labels: map[string]string{"team": "blue"}})
	for _, test := range []struct {
		opts                     map[string]string
		nothing, exclude, labels bool
	}{
		{map[string]string{"Include": "wbe*"}, true, false, false},
		{map[string]string{"Include": "web*"}, false, false, false},
		{map[string]string{"Include": "web*", "Exclude": "wbe*"}, false, true, false},
		{map[string]string{"Labels": "taem,app.*"}, false, false, true},
		{map[string]string{"Labels": "taem,te*"}, false, false, false},
		{map[string]string{"Labels": "swarm_service"}, false, false, true},
		{nil, false, false, false},
	} {
		a := startAgent(t, e.Host(), test.opts)
		a.connected()
		log := a.log.String()
		if strings.Contains(log, nothing) != test.nothing || strings.Contains(log, some) != test.exclude || strings.Contains(log, labels) != test.labels {
			t.Errorf("%v: it says\n%s", test.opts, log)
		}
		a.stop()
	}
	empty := dockertest.Start(t)
	a := startAgent(t, empty.Host(), map[string]string{"Include": "web*"})
	a.connected()
	if strings.Contains(a.log.String(), nothing) {
		t.Error("said without any container")
	}
}
