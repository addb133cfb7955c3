package peers

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"fluent-bit-docker-logs/docker/plot"
)

// Write puts the report into dir. That is report.md, the chart of it, and the table for a document. It returns their
// paths.
func (r *Report) Write(dir string) (paths []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, text string }{
		{"report.md", r.Markdown()}, {"table.md", r.Table()}, {"peers.svg", r.chart()},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, []byte(f.text), 0o644); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Markdown is the whole report.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Peers on the same work\n\n%s, %s. Docker Engine %s, %d cores. Every agent does each work once in a round; medians of rounds: %d.\n",
		r.Began.UTC().Format("2006-01-02 15:04 UTC"), r.Took.Round(time.Second), r.Engine, runtime.NumCPU(), r.Config.Rounds)
	if r.Config.Scale != 1 {
		fmt.Fprintf(&b, "\n**A small try**: lines, containers and times are %g of what they are in full.\n", r.Config.Scale)
	}
	if r.Trouble != "" {
		fmt.Fprintf(&b, "\n**It ended early**: %s\n", cell(r.Trouble))
	}
	b.WriteString("\n![CPU of each agent and of the Engine](peers.svg)\n\n")
	b.WriteString(r.Table())
	for _, result := range r.results {
		b.WriteString("\n")
		result.markdown(&b, r.peers)
	}
	b.WriteString("\n## Who they are\n\n")
	head(&b, "agent", "reads", "version", "set up", "keeps across a restart")
	for _, p := range r.peers {
		version, position := p.version, p.Position
		if p.absent != "" {
			version = "**not there**: " + brief(p.absent)
		}
		if position == "" {
			position = "nothing"
		}
		line(&b, p.Title, p.Source, version, p.About, position)
	}
	b.WriteString(`
## How it was measured

* CPU of the agent's process, and of dockerd meanwhile (which also takes what the containers write); wall until the last line; the most memory of the agent's process.
* ours / theirs: the CPU of ours with the same source, divided by theirs; of each round, then the median. Below 1 is less than theirs. With the Engine: that of both.
* Ratios hold on a busy machine, seconds do not: the load is given.
* All lines are numbered. Where a sink only counts, one more run, of which no time is taken, has one that keeps them. Lost and doubled are the most of any run.
* Where the agent is restarted, and where the log is rotated, the sink keeps the lines in each round: its cost is among the CPU.
* Logs are in the page cache before each run.
`)
	return b.String()
}

// markdown is the work's table.
func (r *result) markdown(b *strings.Builder, peers []*Peer) {
	fmt.Fprintf(b, "## %s\n\n%s. Load %.1f before, %.1f after.\n\n", r.work.title, strings.ToUpper(r.work.what[:1])+r.work.what[1:], r.load[0], r.load[1])
	head(b, "agent", "reads", "CPU s (min to max)", "Engine CPU s", "wall s", "peak memory", "lost", "doubled", "ours / theirs, CPU", "with the Engine")
	var left []string
	for _, p := range peers {
		row := r.row(p)
		if why := r.work.why(p); row == nil && p.absent == "" && why != "" {
			left = append(left, fmt.Sprintf("%s %s", p.Title, why))
		}
		if row == nil {
			continue
		}
		if row.trouble != "" {
			left = append(left, fmt.Sprintf("%s did not get through each time: %s", p.Title, brief(row.trouble)))
		}
		cpu := row.values(ownCPU)
		if len(cpu) == 0 {
			continue
		}
		lost, doubled := number(row.lost), number(row.doubled)
		if r.work.written() == 0 {
			lost, doubled = "", ""
		}
		line(b, p.Title, p.Source, fmt.Sprintf("%.2f (%.2f to %.2f)", median(cpu), slices.Min(cpu), slices.Max(cpu)),
			fmt.Sprintf("%.2f", row.median(engineCPU)), fmt.Sprintf("%.1f", row.median(wall)), plot.Format(row.median(peak), "B"),
			lost, doubled, ratio(r.ratio(row, ownCPU)), ratio(r.ratio(row, allCPU)))
	}
	for _, text := range left {
		fmt.Fprintf(b, "\n%s.\n", text)
	}
}

// Table is what a document shows of the report. The agents are beside each other, for
// each source.
func (r *Report) Table() string {
	var b strings.Builder
	for _, source := range []string{fromFiles, fromAPI} {
		var peers []*Peer
		titles := []string{map[string]string{fromFiles: "from the log files", fromAPI: "through the API, with the Engine's CPU"}[source]}
		for _, p := range r.peers {
			if p.Source == source && p.absent == "" {
				peers = append(peers, p)
				titles = append(titles, p.Title)
			}
		}
		if len(peers) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		head(&b, titles...)
		of := ownCPU
		if source == fromAPI {
			of = allCPU
		}
		for _, result := range r.results {
			cells := []string{result.work.title}
			for _, p := range peers {
				cells = append(cells, result.brief(p, of))
			}
			line(&b, cells...)
		}
	}
	var absent []string
	for _, p := range r.peers {
		if p.absent != "" {
			absent = append(absent, p.Title)
		}
	}
	if len(absent) > 0 {
		fmt.Fprintf(&b, "\nNot there: %s.\n", strings.Join(absent, ", "))
	}
	return b.String()
}

// brief is an agent's figure, the ratio of ours to it, and what it lost and doubled.
func (r *result) brief(p *Peer, of func(*figures) float64) string {
	row := r.row(p)
	if row == nil || math.IsNaN(row.median(of)) {
		return "–"
	}
	text := fmt.Sprintf("%.2f s", row.median(of))
	if q := r.ratio(row, of); !math.IsNaN(q) {
		text += " (" + ratio(q) + ")"
	}
	if row.lost > 0 {
		text += fmt.Sprintf(", **%s lost**", plot.Count(row.lost))
	}
	if row.doubled > 0 {
		text += fmt.Sprintf(", **%s doubled**", plot.Count(row.doubled))
	}
	return text
}

func ratio(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}

// number is bold where it should be none.
func number(n int) string {
	if n == 0 {
		return "0"
	}
	return "**" + plot.Count(n) + "**"
}

// brief is the beginning of a text that somebody else wrote.
func brief(text string) string {
	const most = 300
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

func head(b *strings.Builder, titles ...string) {
	line(b, titles...)
	fmt.Fprintf(b, "|%s\n", strings.Repeat("---|", len(titles)))
}

func line(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(b, "| %s ", cell(c))
	}
	b.WriteString("|\n")
}

// cell keeps a text inside of its cell.
func cell(text string) string { return strings.ReplaceAll(oneLineOf(text), "|", `\|`) }

func oneLineOf(text string) string { return strings.Join(strings.Fields(text), " ") }
