package conf_test

import (
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
)

// TestLabelKeys: Fluent Bit's filters can name a label in the forms flat and map; in the form dotted a filter must rename
// it before.
func TestLabelKeys(t *testing.T) {
	fluentBit := lookFluentBit(t)
	requirePlugins(t, fluentBit, "filter grep", "filter rewrite_tag", "filter modify")
	for form, filters := range map[string]string{
		"flat": "[FILTER]\n    Name grep\n    Match docker\n    Regex label_app_team ^blue$\n" +
			"[FILTER]\n    Name rewrite_tag\n    Match docker\n    Rule $label_app_team ^(.+)$ docker.$1.$swarm_service false\n",
		"map": "[FILTER]\n    Name grep\n    Match docker\n    Regex $labels['app.team'] ^blue$\n" +
			"[FILTER]\n    Name rewrite_tag\n    Match docker\n    Rule $labels['app.team'] ^(.+)$ docker.$1.$swarm_service false\n",
		"dotted": "[FILTER]\n    Name modify\n    Match docker\n    Rename label.app.team team\n" +
			"[FILTER]\n    Name grep\n    Match docker\n    Regex team ^blue$\n" +
			"[FILTER]\n    Name rewrite_tag\n    Match docker\n    Rule $team ^(.+)$ docker.$1.$swarm_service false\n",
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			engine := dockertest.Start(t)
			for _, team := range []string{"blue", "red"} {
				engine.Run(dockertest.Container{Name: team, Labels: map[string]string{
					"app.team": team, "com.docker.swarm.service.name": "shop_web"}}).Stdout("the line of " + team)
			}
			path := install(t, "fluent-bit.conf", func(s string) string {
				s, _, _ = strings.Cut(s, "[OUTPUT]")
				s += filters + "[OUTPUT]\n    Name stdout\n    Match *\n"
				return strings.Replace(withEngine(engine.Host())(s), "[INPUT]", "[INPUT]\n    Labels app.team,swarm_service\n    Label_Keys "+form, 1)
			})
			a := start(t, fluentBit, path)
			a.await("its record", func(out, _ string) bool { return strings.Contains(out, "the line of blue") })
			a.stop()
			out, _ := a.text()
			if !strings.HasPrefix(out, "[0] docker.blue.shop_web: ") || strings.Contains(out, "the line of red") || strings.Count(out, "\n") != 1 {
				t.Errorf("it prints:\n%s", out)
			}
		})
	}
}
