// Loggen writes numbered log lines. It is the only program in the test image, and the producer's side of the tests'
// oracle.
//
// Each line is `<run> <std> <seq> <payload>`, with seq counted per standard stream, so that a sink can tell what is missing,
// doubled or out of order. With -write or -script it writes exact bytes instead, with -mixed lines of all kinds and a journal;
// with -turns it writes when it is told to.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// crashStatus is the exit status of -crash-after, to be told from a real failure of the program.
const crashStatus = 3

func main() {
	var g generator
	var writes []string
	std := flag.String("std", "stdout", "stdout, stderr or both (one goroutine each, racing)")
	flag.IntVar(&g.lines, "lines", 0, "lines per standard stream")
	flag.Float64Var(&g.rate, "rate", 0, "lines per second and standard stream; 0 is as fast as possible")
	flag.IntVar(&g.size, "size", 0, "bytes per line without its end; shorter only where the line's head is longer")
	flag.StringVar(&g.run, "run", "run", "first word of each line")
	flag.IntVar(&g.start, "start", 1, "first sequence number")
	flag.StringVar(&g.payload, "payload", "ascii", "ascii, plain (nothing that the Engine escapes), json (an object), utf8 (CJK) or identical (every line the same, without a number)")
	flag.IntVar(&g.long, "long", 0, "bytes of the long line that comes every -every lines; 0 is never")
	flag.IntVar(&g.every, "every", 10, "see -long")
	flag.BoolVar(&g.crlf, "crlf", false, "end lines with CR LF")
	flag.BoolVar(&g.unended, "exit-without-newline", false, "the last line has no end")
	flag.IntVar(&g.crashAfter, "crash-after", 0, fmt.Sprintf("exit with status %d after this many lines of a standard stream", crashStatus))
	flag.Func("write", "write exact bytes, as STD:BASE64; may be repeated", func(s string) error {
		writes = append(writes, s)
		return nil
	})
	script := flag.String("script", "", "file (- is standard input) of steps, one a line: STD:BASE64 or sleep:DURATION")
	mix := flag.String("mixed", "", "write lines of these kinds, separated by commas, and a journal of them: text, border, json, utf8, invalid, empty, same")
	seed := flag.Uint64("seed", 0, "of -mixed")
	journal := flag.String("journal", "", "`directory` of the journal of -mixed")
	burst := flag.Int("burst", 1, "lines of -mixed that come at once")
	await := flag.Bool("await", false, "wait for SIGUSR1 after the first line of each standard stream")
	flag.BoolVar(&g.turns, "turns", false, "write one line, and then -lines at each SIGUSR1, numbered on, until SIGTERM or SIGINT")
	hold := flag.Bool("hold", false, "stay alive afterwards, until SIGTERM or SIGINT")
	flag.Parse()

	// As process 1 of a container the program gets no default signal actions.
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan error, 1)
	if *await {
		g.await = make(chan struct{})
		usr1 := make(chan os.Signal, 1)
		signal.Notify(usr1, syscall.SIGUSR1)
		go func() {
			<-usr1
			close(g.await)
		}()
	}
	if *mix != "" {
		m := mixed{kinds: strings.Split(*mix, ","), seed: *seed, journal: *journal, lines: g.lines, rate: g.rate, burst: *burst, unended: g.unended, crash: g.crashAfter > 0}
		go func() { done <- m.run(stdFiles(*std)) }()
	} else {
		go func() { done <- produce(&g, *std, writes, *script) }()
	}
	select {
	case err := <-done:
		if err != nil {
			fmt.Fprintln(os.Stderr, "loggen:", err)
			os.Exit(1)
		}
	case <-term:
		return
	}
	if *hold {
		<-term
	}
}

func stdFiles(std string) []*os.File {
	return map[string][]*os.File{"stdout": {os.Stdout}, "stderr": {os.Stderr}, "both": {os.Stdout, os.Stderr}}[std]
}

// produce writes the exact bytes first, then the numbered lines.
func produce(g *generator, std string, writes []string, script string) error {
	for _, w := range writes {
		if err := step(w); err != nil {
			return err
		}
	}
	if script != "" {
		if err := runScript(script); err != nil {
			return err
		}
	}
	outs := stdFiles(std)
	if outs == nil {
		return fmt.Errorf("-std %q: want stdout, stderr or both", std)
	}
	if _, ok := payloads[g.payload]; !ok {
		return fmt.Errorf("-payload %q: want ascii, plain, json, utf8 or identical", g.payload)
	}
	errs := make([]error, len(outs))
	var wg sync.WaitGroup
	write := g.write
	if g.turns {
		write = g.writeTurns
	}
	for i, out := range outs {
		wg.Go(func() { errs[i] = write(out, []string{"stdout", "stderr"}[out.Fd()-1]) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// generator holds the flags that shape the numbered lines.
type generator struct {
	lines, size, start, long, every, crashAfter int
	rate                                        float64
	run, payload                                string
	crlf, unended, turns                        bool
	await                                       chan struct{} // closed when the lines behind the first may come; nil: at once
}

// write sends the lines of one standard stream to out.
func (g *generator) write(out io.Writer, std string) error {
	w := bufio.NewWriterSize(out, 32<<10)
	begin := time.Now()
	var line []byte
	for i := range g.lines {
		size := g.size
		if g.long > 0 && i%g.every == g.every-1 {
			size = g.long
		}
		line = g.appendLine(line[:0], std, g.start+i, size)
		if !g.unended || i < g.lines-1 {
			if g.crlf {
				line = append(line, '\r')
			}
			line = append(line, '\n')
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		if g.crashAfter == i+1 {
			_ = w.Flush()
			os.Exit(crashStatus)
		}
		if i == 0 && g.await != nil {
			if err := w.Flush(); err != nil {
				return err
			}
			<-g.await
			begin = time.Now()
		}
		if g.rate > 0 {
			if err := w.Flush(); err != nil {
				return err
			}
			time.Sleep(time.Until(begin.Add(time.Duration(float64(i+1) / g.rate * float64(time.Second)))))
		}
	}
	return w.Flush()
}

// writeTurns writes one line, and the next ones whenever SIGUSR1 comes. It returns for an error only.
func (g *generator) writeTurns(out io.Writer, std string) error {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	turn := *g
	turn.lines = 1
	for {
		if err := turn.write(out, std); err != nil {
			return err
		}
		turn.start += turn.lines
		turn.lines = g.lines
		<-usr1
	}
}

// payloads gives the text that is repeated to fill a line.
var payloads = map[string]string{
	"ascii":     "The quick brown fox jumps over the lazy dog 0123456789 <&> \\ \" ",
	"plain":     "GET /api/v1/items/4711 200 took 3.2ms ",
	"json":      "GET /api/v1/items/4711 200 took 3.2ms ",
	"utf8":      "日志採集한국어ログ🐳",
	"identical": "The same line again. ",
}

// appendLine appends line seq of std, size bytes long where its head allows, without its end.
func (g *generator) appendLine(dst []byte, std string, seq, size int) []byte {
	switch g.payload {
	case "json":
		dst = fmt.Appendf(dst, `{"level":"info","msg":"%s %s %d `, g.run, std, seq)
		return append(fill(dst, payloads[g.payload], size-2), `"}`...)
	case "identical":
		dst = fmt.Appendf(dst, "%s %s identical ", g.run, std)
	default:
		dst = fmt.Appendf(dst, "%s %s %d ", g.run, std, seq)
	}
	return fill(dst, payloads[g.payload], size)
}

// fill repeats a text until dst is of that size.
func fill(dst []byte, text string, size int) []byte {
	for len(dst) < size {
		for _, r := range text {
			c := string(r)
			if len(dst)+len(c) > size {
				// A rune that does not fit is replaced, so that the line is valid and of the exact size.
				return append(dst, strings.Repeat(".", size-len(dst))...)
			}
			dst = append(dst, c...)
		}
	}
	return dst
}
