package page

import (
	"fmt"
	"math"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is when the pages of the tests are drawn.
var at = time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC)

// The states that an Engine is in.
const (
	up         = "up"
	down       = "down"
	halfBroken = "half-broken" // it answers, and not for every container
)

const hostile = `<img src=x onerror=alert(1)>"'&` + "\u202eevil"

// sample is a capture of n containers on an Engine in a state.
func sample(n int, engine string) Status {
	in := Instance{
		Name: "docker_logs.0", Ready: true, Engine: Engine{Up: true, Version: "28.5.2", API: "1.51", Since: at.Add(-26 * time.Hour)},
		Goroutines: 4*n + 40, Since: at.Add(-26 * time.Hour), Lines: 12_345_678, Bytes: 1 << 31, Rotations: 5123, Open: n + 60, OpenWarn: 4000, OpenLimit: 5000,
		Waiting: 3 << 20, WaitingLimit: 64 << 20, OnTheWay: 1, Rates: wave(points, 1200),
	}
	if engine == down {
		in.Ready = false
		in.Engine.Up, in.Engine.Since, in.Engine.NextTry = false, at.Add(-200*time.Second), at.Add(7*time.Second)
		in.Engine.Error = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
	}
	s := Status{At: at, Version: "1.2.3", Instances: []Instance{in}}
	for i := range n {
		c := Container{
			Instance: in.Name, ID: fmt.Sprintf("%016x%048x", uint64(i+1)*0x9e3779b97f4a7c15, i), Name: fmt.Sprintf("app-%04d", i), State: Reading, Since: at.Add(-time.Hour),
			Reader: []string{"file", "file", "follow", "poll"}[i%4], Position: at.Add(-time.Duration(i) * time.Second), Age: 12, Rotations: uint64(i), Lines: uint64(i) * 977,
			Rates: wave(points-i%3, float64(i%7)*30),
		}
		switch {
		case engine == down && i%3 == 0:
			c.State, c.Reader = Waiting, "none"
		case engine == halfBroken && i%5 == 3:
			c.State, c.Reader, c.Failing, c.Since, c.NextTry, c.Lag = Retrying, "none", true, at.Add(-5*time.Minute), at.Add(20*time.Second), 300
			c.Error, c.ErrorAt = "reading the log failed, it is tried again: Error response from daemon: open /var/lib/docker/containers/"+c.ID+"/"+c.ID+"-json.log: input/output error", at.Add(-5*time.Minute)
		case engine == halfBroken && i%5 == 4:
			c.State, c.Reader, c.Since, c.Rates = Unreadable, "none", at.Add(-26*time.Hour), nil
			c.Error, c.ErrorAt = "the log of this container cannot be read, it is left out until it is created anew: configured logging driver does not support reading", at.Add(-26*time.Hour)
		case engine == halfBroken && i == 2:
			c.Name = hostile
		case i%10 == 7:
			c.State, c.Reader, c.Age = Stopped, "none", 0
		}
		s.Containers = append(s.Containers, c)
	}
	return s
}

// wave is n rates up to a height.
func wave(n int, top float64) (rates []float32) {
	for i := range n {
		rates = append(rates, float32(top*(1+math.Sin(float64(i)/4))/2))
	}
	return rates
}
