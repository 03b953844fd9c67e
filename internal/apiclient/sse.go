package apiclient

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxLine bounds a line of a stream: the frontend's pieces of output are far smaller.
const maxLine = 8 << 20

// frame is a server-sent event.
type frame struct{ event, id, data string }

// frames reads server-sent events.
type frames struct {
	lines *bufio.Scanner
	// alive is called for each line.
	alive func()
	// retry is how long the server wants clients to wait before they come back; 0 when it said nothing.
	retry time.Duration
}

func newFrames(r io.Reader, alive func()) *frames {
	f := &frames{lines: bufio.NewScanner(r), alive: alive}
	f.lines.Buffer(nil, maxLine)
	return f
}

// next returns the next whole event; io.EOF at the end of the stream, where half an event counts as none.
func (f *frames) next() (frame, error) {
	var e frame
	var data []string
	for f.lines.Scan() {
		f.alive()
		line := strings.TrimRight(f.lines.Text(), "\r")
		if line == "" {
			if len(data) > 0 {
				e.data = strings.Join(data, "\n")
				return e, nil
			}
			e = frame{}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.event = value
		case "id":
			e.id = value
		case "data":
			data = append(data, value)
		case "retry":
			if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
				f.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := f.lines.Err(); err != nil {
		return frame{}, err
	}
	return frame{}, io.EOF
}
