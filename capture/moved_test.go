package capture_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/reader/file"
)

// logrotate without copytruncate: the Engine writes on in the file that was
// moved away, until the container starts again.
func TestMovedAway(t *testing.T) {
	for _, create := range []bool{true, false} {
		oddCase(t, dockertest.Container{}, func(t *testing.T, o *odd) {
			moved := 0
			move := func() {
				for i := moved; i > 0; i-- {
					must(t, os.Rename(fmt.Sprint(o.path, ".", i), fmt.Sprint(o.path, ".", i+1)))
				}
				must(t, os.Rename(o.path, o.path+".1"))
				moved++
				if create {
					must(t, os.WriteFile(o.path, nil, 0o640))
				}
			}
			o.write(10)
			move()
			o.write(10)
			if create {
				o.waitFor("both files to be open", func() bool { return o.col.View().FDs.Files == 2 })
				for range file.MaxHeld + 2 {
					move()
					o.write(10)
				}
			}
			must(t, o.c.ReopenLog())
			o.write(10)
			move()
			o.write(10)
			o.pauseReading()
			lines := sequence("out", len(o.want), len(o.want)+10)
			o.c.Stdout(lines...)
			o.want = append(o.want, lines...)
			if create { // else the Engine's API is all that there is
				o.resumeReading()
				o.write(10)
				must(t, o.c.ReopenLog())
				o.write(10)
			}
			o.noGap()
		})
	}
}

// The Engine's next log rotation leaves the rotated files there that are older than
// what was moved away, whether they were read or left out at the start.
func TestMovedAwayAndRotated(t *testing.T) {
	for _, again := range []bool{false, true} {
		oddCase(t, dockertest.Container{MaxSize: 10000, MaxFile: 40}, func(t *testing.T, o *odd) {
			for range 20 {
				o.write(10)
				must(t, o.c.RotateLog())
			}
			o.write(10)
			if again {
				o.pauseReading()
				o.resumeReading()
				o.write(1)
			}
			must(t, os.Rename(o.path, o.path+"-20261125"))
			o.write(150)
			o.write(150)
			o.noGap()
		})
	}
}

// An agent that comes when the log was moved away already.
func TestMovedAwayBeforeTheStart(t *testing.T) {
	e := dockertest.Start(t)
	c := viaFile.run(t, e, dockertest.Container{Name: "web"})
	c.Stdout("old")
	must(t, os.Rename(c.LogPath(), c.LogPath()+".1"))
	must(t, os.WriteFile(c.LogPath(), nil, 0o640))
	a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile})
	viaFile.reading(t, a, c)
	c.Stdout(sequence("out", 0, 10)...)
	a.waitRecords(10)
	must(t, c.ReopenLog())
	c.Stdout(sequence("out", 10, 20)...)
	a.waitRecords(20)
	checkSequence(t, "lines", sequence("out", 0, 20), a.texts(c.ID, ""))
	a.noGap()
}

// An editor saves what it has read as a new file. The Engine writes on in the
// old one, which has no name any more, until the container starts again.
func TestEditorsSave(t *testing.T) {
	oddCase(t, dockertest.Container{}, func(t *testing.T, o *odd) {
		o.write(100)
		content, err := os.ReadFile(o.path)
		must(t, err)
		o.write(10)
		before := o.recognised()
		replaceFile(t, o.path, content)
		o.write(10)
		o.waitFor("the file to be looked at", func() bool { return o.recognised() > before })
		o.write(10)
		must(t, o.c.ReopenLog())
		o.write(10)
		// Nothing was written since: its last line is the anchor.
		content, err = os.ReadFile(o.path)
		must(t, err)
		replaceFile(t, o.path, content)
		must(t, o.c.ReopenLog())
		o.write(10)
		// Lines were taken out of it.
		content, err = os.ReadFile(o.path)
		must(t, err)
		replaceFile(t, o.path, content[len(content)/2+bytes.IndexByte(content[len(content)/2:], '\n')+1:])
		must(t, o.c.ReopenLog())
		o.write(10)
		o.noGap()
	})
}
