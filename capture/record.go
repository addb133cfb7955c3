package capture

import (
	"encoding/binary"
	"slices"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
)

// recordKeys are the keys that a record may have besides the log key, short
// names, and what Labels and Log_Attrs add.
var recordKeys = []string{"stream", "container_id", "container_name", "image", "host", "parser", "partial"}

// recordTimeOffset is where the 8 bytes of the EventTime stand in a record:
// behind the array header and the header of the extension.
const recordTimeOffset = 3

// recordTemplate is all of a container's records that does not change from
// line to line, encoded once. A record is Fluent Bit's log event
//
//	[EventTime, {LOG_KEY: text, "stream": ..., "container_id": ..., ...}]
//
// (Fluent Bit: include/fluent-bit/flb_log_event.h, format v1, which every
// version reads). Every value is a string, or with Label_Keys map a map of
// strings. A template is immutable.
type recordTemplate struct {
	head, cutHead []byte // up to and with the log key: of a whole line, of one cut at Max_Line_Size
	meta          []byte // the keys behind the text that are the same in every record
	met           []sameKey
}

// newRecordTemplate encodes what cfg wants to know of the container.
func newRecordTemplate(cfg *Config, c *container.Container, host string) *recordTemplate {
	fields := []field{
		{key: "container_id", value: c.ID},
		{key: "container_name", value: c.Name},
		{key: "image", value: c.Image},
		{key: "host", value: host},
	}
	for i, short := range shortNames {
		if v, ok := c.Labels[short.label]; ok && (i < alwaysShort || slices.Contains(cfg.Labels.short, short.key)) {
			fields = append(fields, field{key: short.key, value: v})
		}
	}
	if v := c.Labels[parserLabel]; v != "" {
		fields = append(fields, field{key: "parser", value: v})
	}
	labels, met := fieldsOf(cfg.LabelKeys, "label", cfg.Labels.chosen(c))
	attrs, more := fieldsOf(cfg.LabelKeys, "attr", c.Attrs)
	fields = slices.Concat(fields, labels, attrs)
	t := &recordTemplate{
		head:    recordHead(cfg.LogKey, 2+len(fields)),
		cutHead: recordHead(cfg.LogKey, 3+len(fields)),
		met:     append(met, more...),
	}
	for _, f := range fields {
		t.meta = appendField(t.meta, f)
	}
	t.meta = slices.Clip(t.meta)
	return t
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

func recordHead(logKey string, keys int) []byte {
	b := append([]byte{0x92, 0xd7, 0x00}, make([]byte, 8)...) // array of 2; fixext 8, type 0: EventTime
	b = msgp.AppendMapHeader(b, uint32(keys))
	return slices.Clip(msgp.AppendString(b, logKey))
}

func appendPair(b []byte, key, value string) []byte {
	return msgp.AppendString(msgp.AppendString(b, key), value)
}

var (
	streamPair  = [3][]byte{decode.Stdout: appendPair(nil, "stream", "stdout"), decode.Stderr: appendPair(nil, "stream", "stderr")}
	partialPair = appendPair(nil, "partial", "true")
)

// Append encodes one record behind dst. cut marks a line that was cut at
// Max_Line_Size.
func (t *recordTemplate) Append(dst []byte, ts int64, std uint8, text []byte, cut bool) []byte {
	head := t.head
	if cut {
		head = t.cutHead
	}
	at := len(dst) + recordTimeOffset
	dst = append(dst, head...)
	binary.BigEndian.PutUint32(dst[at:], uint32(ts/1e9))
	binary.BigEndian.PutUint32(dst[at+4:], uint32(ts%1e9))
	dst = msgp.AppendStringFromBytes(dst, text)
	dst = append(dst, streamPair[std]...)
	dst = append(dst, t.meta...)
	if cut {
		dst = append(dst, partialPair...)
	}
	return dst
}

// Size bounds the bytes of a record whose text has n bytes.
func (t *recordTemplate) Size(n int) int {
	return len(t.cutHead) + msgp.StringPrefixSize + n + len(streamPair[decode.Stdout]) + len(t.meta) + len(partialPair)
}
