package capture

import (
	"encoding/binary"
	"slices"

	"github.com/tinylib/msgp/msgp"
)

const labelPrefix = "label."

// recordKeys are the keys that a record may have besides the log key and
// label.<name>.
var recordKeys = []string{
	"stream", "container_id", "container_name", "image", "host",
	"compose_project", "compose_service", "partial",
}

// recordTimeOffset is where the 8 bytes of the EventTime stand in a record:
// behind the array header and the header of the extension.
const recordTimeOffset = 3

// recordTemplate is all of a container's records that does not change from
// line to line, encoded once. A record is Fluent Bit's log event
//
//	[EventTime, {LOG_KEY: text, "stream": ..., "container_id": ..., ...}]
//
// (Fluent Bit: include/fluent-bit/flb_log_event.h, format v1, which every
// version reads). Every value is a string. A template is immutable.
type recordTemplate struct {
	head, cutHead []byte // up to and with the log key: of a whole line, of one cut at Max_Line_Size
	meta          []byte // the keys behind the text that are the same in every record
}

// newRecordTemplate encodes what cfg wants to know of the container.
func newRecordTemplate(cfg *Config, c *container, host string) *recordTemplate {
	pairs := [][2]string{
		{"container_id", c.ID},
		{"container_name", c.Name},
		{"image", c.Image},
		{"host", host},
	}
	if v, ok := c.Labels[labelComposeProject]; ok {
		pairs = append(pairs, [2]string{"compose_project", v})
	}
	if v, ok := c.Labels[labelComposeService]; ok {
		pairs = append(pairs, [2]string{"compose_service", v})
	}
	if len(cfg.Labels) > 0 {
		var names []string
		for name := range c.Labels {
			if cfg.Labels.match(name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			pairs = append(pairs, [2]string{labelPrefix + name, c.Labels[name]})
		}
	}
	t := &recordTemplate{
		head:    recordHead(cfg.LogKey, 2+len(pairs)),
		cutHead: recordHead(cfg.LogKey, 3+len(pairs)),
	}
	for _, kv := range pairs {
		t.meta = appendPair(t.meta, kv[0], kv[1])
	}
	t.meta = slices.Clip(t.meta)
	return t
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
	streamPair  = [3][]byte{stdout: appendPair(nil, "stream", "stdout"), stderr: appendPair(nil, "stream", "stderr")}
	partialPair = appendPair(nil, "partial", "true")
)

// append encodes one record behind dst. cut marks a line that was cut at
// Max_Line_Size.
func (t *recordTemplate) append(dst []byte, ts int64, std uint8, text []byte, cut bool) []byte {
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

// size bounds the bytes of a record whose text has n bytes.
func (t *recordTemplate) size(n int) int {
	return len(t.cutHead) + msgp.StringPrefixSize + n + len(streamPair[stdout]) + len(t.meta) + len(partialPair)
}
