package capture

import (
	"encoding/binary"
	"sort"

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
	whole, cut recordParts // a whole line; one cut at Max_Line_Size
}

type recordParts struct {
	head []byte    // up to and with the log key
	tail [3][]byte // by std: all keys behind the text
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
		sort.Strings(names)
		for _, name := range names {
			pairs = append(pairs, [2]string{labelPrefix + name, c.Labels[name]})
		}
	}
	return &recordTemplate{
		whole: newRecordParts(cfg.LogKey, pairs),
		cut:   newRecordParts(cfg.LogKey, append(pairs, [2]string{"partial", "true"})),
	}
}

func newRecordParts(logKey string, pairs [][2]string) (p recordParts) {
	p.head = append(p.head, 0x92, 0xd7, 0x00) // array of 2; fixext 8, type 0: EventTime
	p.head = append(p.head, make([]byte, 8)...)
	p.head = msgp.AppendMapHeader(p.head, uint32(2+len(pairs)))
	p.head = msgp.AppendString(p.head, logKey)
	for std, name := range map[int]string{stdout: "stdout", stderr: "stderr"} {
		t := msgp.AppendString(nil, "stream")
		t = msgp.AppendString(t, name)
		for _, kv := range pairs {
			t = msgp.AppendString(t, kv[0])
			t = msgp.AppendString(t, kv[1])
		}
		p.tail[std] = t
	}
	return p
}

// append encodes one record behind dst. cut marks a line that was cut at
// Max_Line_Size.
func (t *recordTemplate) append(dst []byte, ts int64, std uint8, text []byte, cut bool) []byte {
	p := &t.whole
	if cut {
		p = &t.cut
	}
	at := len(dst) + recordTimeOffset
	dst = append(dst, p.head...)
	binary.BigEndian.PutUint32(dst[at:], uint32(ts/1e9))
	binary.BigEndian.PutUint32(dst[at+4:], uint32(ts%1e9))
	dst = msgp.AppendStringFromBytes(dst, text)
	return append(dst, p.tail[std]...)
}

// size bounds the bytes of a record whose text has n bytes.
func (t *recordTemplate) size(n int) int {
	return len(t.cut.head) + msgp.StringPrefixSize + n + len(t.cut.tail[stdout])
}
