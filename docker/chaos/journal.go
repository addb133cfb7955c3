package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// driverJournald is the log driver whose logs are no files of the Engine.
const driverJournald = "journald"

// journaled are the lines that journald holds of the container. mu is held.
func (w *witness) journaled() ([]line, error) {
	cmd := exec.Command("journalctl", "--quiet", "--no-pager", "--all", "--output=json",
		"--output-fields=MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE,__REALTIME_TIMESTAMP", "CONTAINER_ID_FULL="+filepath.Base(w.dir))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("journalctl: %w", err)
	}
	all := joiner{open: map[string]*line{}, apart: true}
	for text := range bytes.Lines(out) {
		var r struct {
			Text    message `json:"MESSAGE"`
			Level   string  `json:"PRIORITY"`
			Partial string  `json:"CONTAINER_PARTIAL_MESSAGE"`
			Micros  string  `json:"__REALTIME_TIMESTAMP"`
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("journalctl: %w", err)
		}
		micros, err := strconv.ParseInt(r.Micros, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("journalctl: %w", err)
		}
		if w.noEmpty && len(r.Text) == 0 {
			continue
		}
		std := "stdout"
		if r.Level == "3" { // LOG_ERR
			std = "stderr"
		}
		all.add(std, time.UnixMicro(micros), string(r.Text), r.Partial == "", true)
	}
	return all.lines(), nil
}

// message is what journalctl writes as a string, or as its bytes where that would be no text.
type message []byte

// UnmarshalJSON implements json.Unmarshaler.
func (m *message) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*m = message(text)
		return nil
	}
	var all []int
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*m = (*m)[:0]
	for _, c := range all {
		*m = append(*m, byte(c))
	}
	return nil
}
