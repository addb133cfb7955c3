package page

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"html/template"
	"io"
	"net/url"
)

var (
	//go:embed page.html
	source string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"stamp": stamp, "count": count, "span": span, "clip": clip, "several": several,
	"style":  func() template.CSS { return template.CSS(style) }, //nolint:gosec // it is our own file
	"script": func() template.JS { return template.JS(script) },  //nolint:gosec // it is our own file
	"number": func(n uint64) float64 { return float64(n) },
}).Parse(source))

// Policy is the Content-Security-Policy of the page. It allows the page's own
// style and script, and nothing else.
var Policy = "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
	"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// hash is a source of a policy: what has exactly this text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Query is what a reader of the page asks for.
type Query struct {
	Filter string // what a container's name, id, state, reader or instance contains
	Sort   string // the column; "" or an unknown one: trouble first
	All    bool   // all containers, also beyond mostRows
}

// mostFilter is how long a filter may be.
const mostFilter = 200

// QueryOf reads a query off a URL.
func QueryOf(v url.Values) Query {
	return Query{Filter: clip(v.Get("filter"), mostFilter), Sort: v.Get("sort"), All: v.Get("all") != ""}
}

// url is the page's address with the query, relative.
func (q Query) url() string {
	v := url.Values{}
	if q.Filter != "" {
		v.Set("filter", q.Filter)
	}
	if q.Sort != "" {
		v.Set("sort", q.Sort)
	}
	if q.All {
		v.Set("all", "1")
	}
	return "?" + v.Encode()
}

// Render writes the page.
func Render(w io.Writer, s Status, q Query) error { return page.Execute(w, newView(s, q)) }
