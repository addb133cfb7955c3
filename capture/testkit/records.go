package testkit

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

// Record is one record as Fluent Bit would decode it.
type Record struct {
	Tag    string
	Sec    uint32
	Nanos  uint32
	Fields map[string]string
}

// DecodeRecords reads the records of a batch with msgp's own decoder.
func DecodeRecords(tag string, b []byte) (out []Record, err error) {
	for len(b) > 0 {
		g := Record{Tag: tag, Fields: map[string]string{}}
		var n uint32
		if n, b, err = msgp.ReadArrayHeaderBytes(b); err != nil || n != 2 {
			return nil, fmt.Errorf("array of %d: %w", n, err)
		}
		ext := msgp.RawExtension{}
		if b, err = msgp.ReadExtensionBytes(b, &ext); err != nil || len(ext.Data) != 8 {
			return nil, fmt.Errorf("time: %w", err)
		}
		for i := range 4 {
			g.Sec = g.Sec<<8 | uint32(ext.Data[i])
			g.Nanos = g.Nanos<<8 | uint32(ext.Data[4+i])
		}
		if n, b, err = msgp.ReadMapHeaderBytes(b); err != nil {
			return nil, err
		}
		for range n {
			var k, v string
			if k, b, err = msgp.ReadStringBytes(b); err != nil {
				return nil, err
			}
			if msgp.NextType(b) == msgp.MapType {
				if b, err = decodeMap(k, b, g.Fields); err != nil {
					return nil, err
				}
				continue
			}
			if v, b, err = msgp.ReadStringBytes(b); err != nil {
				return nil, fmt.Errorf("key %s: %w", k, err)
			}
			if _, twice := g.Fields[k]; twice {
				return nil, fmt.Errorf("key %s stands there twice", k)
			}
			g.Fields[k] = v
		}
		out = append(out, g)
	}
	return out, nil
}

// decodeMap reads a map's fields, each as key[name].
func decodeMap(key string, b []byte, into map[string]string) ([]byte, error) {
	n, b, err := msgp.ReadMapHeaderBytes(b)
	for range n {
		var k, v string
		if err == nil {
			k, b, err = msgp.ReadStringBytes(b)
		}
		if err == nil {
			v, b, err = msgp.ReadStringBytes(b)
		}
		into[key+"["+k+"]"] = v
	}
	return b, err
}
