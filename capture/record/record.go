package record

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
)

// keys are the keys that a record may have besides the log key, short
// names, and what Labels and Log_Attrs add.
var keys = []string{"stream", "container_id", "container_name", "image", "host", "parser", "partial"}

// Uses says whether a record has such a key, or may have. The log key is not meant.
func Uses(key string) bool {
	for _, kind := range []string{"label", "attr"} {
		if key == kind+"s" || strings.HasPrefix(key, kind+"_") || strings.HasPrefix(key, kind+".") {
			return true
		}
	}
	return slices.Contains(keys, key) || container.LabelOf(key) != ""
}

// recordTimeOffset is where the 8 bytes of the EventTime stand in a record:
// behind the array header and the header of the extension.
const recordTimeOffset = 3

// Template is what is the same in all of a container's records. It is encoded
// once. A record is Fluent Bit's log event
//
//	[EventTime, {LOG_KEY: text, "stream": ..., "container_id": ..., ...}]
//
// (Fluent Bit: include/fluent-bit/flb_log_event.h, format v1, which every
// version reads). Every value is a string, or with Label_Keys map a map of
// strings. A template is immutable.
type Template struct {
	head, truncatedHead []byte // up to and with the log key: of a whole line, of one that is truncated
	meta                []byte // the keys behind the text that are the same in every record
}

// Options say what records hold.
type Options struct {
	LogKey    string                // key of the text of a line
	Labels    container.LabelChoice // labels of a container that become keys
	LabelKeys string                // "flat", "map", "dotted": in which form
	Host      string                // this machine's name
	Tag       string                // template of a container's tag; empty: the instance's own
}

// NewTemplate encodes what is to be known of the container. It says which labels
// have one key.
func NewTemplate(cfg *Options, c *container.Container) (t *Template, met []SameKey) {
	fields := []field{
		{key: "container_id", value: c.ID},
		{key: "container_name", value: c.Name},
		{key: "image", value: c.Image},
		{key: "host", value: cfg.Host},
	}
	for key, v := range cfg.Labels.Short(c) {
		fields = append(fields, field{key: key, value: v})
	}
	if v := c.Labels[container.ParserLabel]; v != "" {
		fields = append(fields, field{key: "parser", value: v})
	}
	labels, met := fieldsOf(cfg.LabelKeys, "label", cfg.Labels.Chosen(c))
	attrs, more := fieldsOf(cfg.LabelKeys, "attr", c.Attrs)
	fields = slices.Concat(fields, labels, attrs)
	t = &Template{
		head:          recordHead(cfg.LogKey, 2+len(fields)),
		truncatedHead: recordHead(cfg.LogKey, 3+len(fields)),
	}
	for _, f := range fields {
		t.meta = appendField(t.meta, f)
	}
	t.meta = slices.Clip(t.meta)
	return t, append(met, more...)
}

func appendField(b []byte, f field) []byte {
	if f.sub == nil {
		return appendPair(b, f.key, f.value)
	}
	b = msgp.AppendMapHeader(msgp.AppendString(b, f.key), uint32(len(f.sub)))
	for _, f := range f.sub {
		b = appendPair(b, f.key, f.value)
	}
	return b
}

func recordHead(logKey string, n int) []byte {
	b := append([]byte{0x92, 0xd7, 0x00}, make([]byte, 8)...) // array of 2; fixext 8, type 0: EventTime
	b = msgp.AppendMapHeader(b, uint32(n))
	return slices.Clip(msgp.AppendString(b, logKey))
}

func appendPair(b []byte, key, value string) []byte {
	return msgp.AppendString(msgp.AppendString(b, key), value)
}

var (
	streamPair  = [3][]byte{decode.Stdout: appendPair(nil, "stream", "stdout"), decode.Stderr: appendPair(nil, "stream", "stderr")}
	partialPair = appendPair(nil, "partial", "true")
)

// Append encodes one record behind dst. truncated marks a line that is not whole.
func (t *Template) Append(dst []byte, ts int64, std uint8, text []byte, truncated bool) []byte {
	head := t.head
	if truncated {
		head = t.truncatedHead
	}
	at := len(dst) + recordTimeOffset
	dst = append(dst, head...)
	binary.BigEndian.PutUint32(dst[at:], uint32(ts/1e9))
	binary.BigEndian.PutUint32(dst[at+4:], uint32(ts%1e9))
	dst = msgp.AppendStringFromBytes(dst, text)
	dst = append(dst, streamPair[std]...)
	dst = append(dst, t.meta...)
	if truncated {
		dst = append(dst, partialPair...)
	}
	return dst
}

// Size bounds the bytes of a record whose text has n bytes.
func (t *Template) Size(n int) int {
	return len(t.truncatedHead) + msgp.StringPrefixSize + n + len(streamPair[decode.Stdout]) + len(t.meta) + len(partialPair)
}
