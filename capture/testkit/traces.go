package testkit

import "strings"

// Traces are records of a container each, by language. Some are of many lines, as programs print them.
var Traces = map[string][]string{
	"java": {
		"12:00:01 INFO starting, no Error yet",
		"java.lang.IllegalStateException: no cart\n\tat shop.Cart.open(Cart.java:12)\n\tat shop.Main.main(Main.java:3)\n" +
			"Caused by: java.io.IOException: gone\n\tat shop.Store.get(Store.java:77)\n\t... 2 more\n" +
			"\tSuppressed: java.lang.Exception: close\n\t\tat shop.Store.close(Store.java:80)\n\t\t... 3 common frames omitted",
		"12:00:02 INFO next",
		"Exception in thread \"main\" java.lang.OutOfMemoryError\n\tat shop.Main.main(Main.java:9)",
		"12:00:03 ERROR shop.Main - org.Outer$InnerException: a\nnested exception is:\n\tjava.io.IOException: b\n\tat x.Y.z(Y.java:1)",
		"Error: boom\r\n    at foo (/app/a.js:1:2)\r\n    at async Promise.all (index 0)\r",
		"Unhandled exception. System.InvalidOperationException: x\n ---> System.IO.IOException: y\n   at A.B() in /src/a.cs:line 1\n" +
			"   --- End of inner exception stack trace ---\n   at A.C()\n--- End of stack trace from previous location where exception was thrown ---\n   at A.D()",
		"one Error: of many", "two Error: of many",
		"12:00:03 INFO end",
		"\tat nowhere", "... 2 more",
	},
	"python": {
		"serving",
		"Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    f()\n    ~^^\nKeyError: 'x'\n\n" +
			"During handling of the above exception, another exception occurred:\n\n" +
			"Traceback (most recent call last):\n  File \"a.py\", line 5, in <module>\n    g()\nshop.errors.ValueError: bad",
		"next",
		"Traceback (most recent call last):\n  File \"a.py\", line 9, in <module>\nKeyboardInterrupt",
		"ERROR in handler: Traceback (most recent call last):\n  File \"b.py\", line 9, in <module>\n    x\nValueError: y",
		"Traceback (most recent call last):\n  File \"c.py\", line 9, in <module>\n    x\nValueError: z",
		"end of it",
	},
	"go": {
		"2026/01/02 listening on :80",
		"panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.f(0x1, {0xc000, 0x2})\n" +
			"\t/src/main.go:7 +0x1d\nmain.(*T).run(...)\n\t/src/main.go:9\ncreated by main.main in goroutine 1\n" +
			"\t/src/main.go:12 +0x20\nexit status 2",
		"2026/01/02 listening on :80",
		"panic: a [recovered]\n\tpanic: b\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]\n\n" +
			"goroutine 7 gp=0xc0 m=0 mp=0x1 [running]:\ngithub.com/x/y.F[...]({0x1, 0x2})\n\t/y.go:3 +0x1\n...additional frames elided...\n\n" +
			"goroutine 8 [chan receive, 5 minutes]:\nmain.g()\n\t/src/main.go:9",
		"2026/01/02 http: panic serving 127.0.0.1:1: boom\ngoroutine 33 [running]:\nnet/http.(*conn).serve.func1()\n\t/http.go:1 +0x1",
		"fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/src/main.go:5 +0x1",
		"2026/01/02 don'tpanic: no", "main.f()", "goroutine 1 [running]:",
	},
	"ruby": {
		"booting",
		"a.rb:2:in `divide': divided by 0 (ZeroDivisionError)\n\tfrom a.rb:7:in `block in run'\n\tfrom a.rb:9:in `<main>'",
		"ready :in 5", "\tfrom nowhere",
	},
}

// LinesOf are the lines of such records.
func LinesOf(texts []string) []string { return strings.Split(strings.Join(texts, "\n"), "\n") }
