package sinks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// Forward runs a server of Fluentd's forward protocol without a shared key. It takes messages of a tag, packed
// entries and options, of which each asks for an answer with its chunk.
func Forward(t testing.TB) *Sink {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{Addr: listener.Addr().String(), ids: map[string]bool{}}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			serving.Go(func() {
				s.forward(conn)
				mu.Lock()
				defer mu.Unlock()
				delete(open, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return s
}

// forward reads messages until one is refused, or the connection ends.
func (s *Sink) forward(conn net.Conn) {
	r := msgp.NewReader(conn)
	for {
		records, chunk, err := readMessage(r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, new(*net.OpError)) {
			return
		}
		if s.take(records, err) != http.StatusOK {
			return
		}
		ack := msgp.AppendString(msgp.AppendString(msgp.AppendMapHeader(nil, 1), "ack"), chunk)
		if _, err := conn.Write(ack); err != nil {
			return
		}
	}
}

func readMessage(r *msgp.Reader) (records []Record, chunk string, err error) {
	if n, err := r.ReadArrayHeader(); err != nil {
		return nil, "", err
	} else if n != 3 {
		return nil, "", fmt.Errorf("a message of %d elements", n)
	}
	if _, err := r.ReadString(); err != nil { // the tag
		return nil, "", err
	}
	kind, err := r.NextType()
	if err != nil {
		return nil, "", err
	}
	if kind != msgp.BinType {
		return nil, "", fmt.Errorf("the entries are %s, not packed", kind)
	}
	entries, err := r.ReadBytes(nil)
	if err != nil {
		return nil, "", err
	}
	options := map[string]any{}
	if err := r.ReadMapStrIntf(options); err != nil {
		return nil, "", err
	}
	if options["compressed"] == "gzip" {
		if entries, err = unzip(entries); err != nil {
			return nil, "", err
		}
	}
	for len(entries) > 0 {
		var record Record
		if record, entries, err = readEntry(entries); err != nil {
			return nil, "", err
		}
		records = append(records, record)
	}
	chunk, _ = options["chunk"].(string)
	if chunk == "" {
		return nil, "", errors.New("the message asks for no answer")
	}
	return records, chunk, nil
}

// readEntry reads a pair of a time, to the nanosecond, and a record.
func readEntry(b []byte) (r Record, rest []byte, err error) {
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil || n != 2 {
		return r, b, fmt.Errorf("an entry of %d elements: %w", n, err)
	}
	at := msgp.RawExtension{Type: 0}
	if b, err = msgp.ReadExtensionBytes(b, &at); err != nil || len(at.Data) != 8 {
		return r, b, fmt.Errorf("a time of %d bytes: %w", len(at.Data), err)
	}
	r.Time = time.Unix(int64(binary.BigEndian.Uint32(at.Data)), int64(binary.BigEndian.Uint32(at.Data[4:])))
	fields, b, err := msgp.ReadMapStrIntfBytes(b, nil)
	r.Fields = texts(fields)
	return r, b, err
}
