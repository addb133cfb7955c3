package peers

import (
	"fmt"
	"strings"

	"fluent-bit-docker-logs/docker/plot"
)

// chart is an SVG of all works: for each the CPU of the agents and of the Engine.
func (r *Report) chart() string {
	var all []plot.Bars
	for _, result := range r.results {
		bars := plot.Bars{Title: plain(result.work.title), Unit: "s", Parts: []string{"agent", "Engine"}}
		source := ""
		for _, row := range result.rows {
			if len(row.values(ownCPU)) == 0 {
				continue
			}
			bar := plot.Bar{Name: plain(row.peer.Title), Values: []float64{row.median(ownCPU), row.median(engineCPU)}, Strong: row.peer.Ours}
			bar.Bad = row.lost+row.doubled > 0
			bar.Apart = source != "" && source != row.peer.Source
			source = row.peer.Source
			bar.Note = fmt.Sprintf("%.2f s", row.median(allCPU))
			if row.lost > 0 {
				bar.Note += ", " + plot.Count(row.lost) + " lost"
			}
			if row.doubled > 0 {
				bar.Note += ", " + plot.Count(row.doubled) + " doubled"
			}
			bars.Rows = append(bars.Rows, bar)
		}
		all = append(all, bars)
	}
	return plot.Drawing("CPU for the same work", fmt.Sprintf("seconds of the agent and of Docker Engine %s; less is better", r.Engine), all)
}

// plain is a text without the marks of Markdown.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }
