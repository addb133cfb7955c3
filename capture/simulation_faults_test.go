package capture

import (
	"fmt"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

func (w *world) do(s step) {
	x := w.all[s.On%len(w.all)]
	pause := time.Duration(s.For) * time.Millisecond
	switch s.Do {
	case "lines":
		x.write(s)
	case "part":
		x.writePart(s)
	case "stop":
		x.end(x.c.Stop)
	case "die":
		x.end(func() { x.c.Die(1) })
	case "start":
		x.c.Start()
	case "restart":
		x.end(x.c.Stop)
		time.Sleep(3 * time.Millisecond) // no Engine is so fast that both have one time
		x.c.Start()
	case "runs":
		for range s.N {
			x.c.Start()
			x.write(step{Std: s.Std, N: 3, Size: 20, Kind: "numbered"})
			x.end(func() { x.c.Die(0) })
			time.Sleep(pause)
		}
	case "rename":
		x.n++
		x.c.Rename(fmt.Sprintf("%s-%d", x.c.Name()[:2], x.n))
	case "pause container":
		x.c.Pause()
		time.Sleep(pause)
		x.c.Unpause()
	case "rotate log":
		if x.spec.MaxSize > 0 {
			_ = x.c.RotateLog()
		}
	case "tear":
		x.damaged = true
		_ = x.c.TearLog(dockertest.Std(s.Std), "torn", 12)
	case "garbage":
		x.damaged = true
		_ = x.c.GarbageLog([]byte("no record at all\n"))
	case "engine down", "engine crash":
		if !w.p.Live {
			for _, x := range w.all {
				x.finish()
			}
		}
		if s.Do == "engine down" {
			w.e.Down()
		} else {
			w.e.Crash()
		}
		time.Sleep(pause)
		must(w.t, w.e.Up())
		for _, x := range w.all {
			x.c.Start()
		}
	case "engine hangs":
		undo := w.e.Hang()
		time.Sleep(pause)
		undo()
	case "engine refuses":
		ep := map[string]dockertest.Endpoint{"": dockertest.Any, "logs": dockertest.Logs, "inspect": dockertest.Inspect, "list": dockertest.List}[s.Kind]
		undo := w.e.Override(ep, nil, dockertest.Answer{Status: 500, Message: "no"})
		time.Sleep(pause)
		undo()
	case "events lost":
		w.e.DropEvents(s.N)
	case "events cut":
		w.e.CutEvents()
	case "cut":
		x.c.CutFollowers()
	case "end":
		x.c.EndFollowers()
	case "silence":
		x.c.Silence(s.N % 3)
	case "system error":
		x.c.SystemErr("simulated")
	case "throttle":
		w.e.Throttle(s.Size)
		time.Sleep(pause)
		w.e.Throttle(0)
	case "replay":
		if w.p.API < followDoublesBelow {
			x.c.ReplayFollowers(s.N)
		}
	case "cut after":
		x.c.CutAfter(int64(s.Size), s.N%4)
	case "clock":
		w.clock.Add(int64(pause))
	case "sink pauses":
		w.agent.pause(true)
		time.Sleep(pause)
		w.agent.pause(false)
	case "agent restarts":
		w.stop(s.Std == stdout)
		w.start()
	case "agent is killed":
		w.kill()
		w.start()
	case "agent is away":
		w.stop(true)
		time.Sleep(pause)
		w.start()
	default:
		w.t.Fatalf("no step %q", s.Do)
	}
}
