package logkv

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/watchkv/watchkv/kv"
)

// A header is the first line of a log.
type header struct {
	Revision kv.Revision // changes up to this revision are forgotten; the first record is the next revision
	Restored kv.Revision // the revision of the last restore from a backup, or zero
	Entries  []change    // the contents of the store at Revision
}

// A record is any other line: the changes of one revision.
type record struct {
	Revision kv.Revision
	Changes  []change
}

// A change is the new state of one key. The key is bytes, because JSON replaces the parts of a string that are not UTF-8.
type change struct {
	Key, Value  []byte
	Create, Mod kv.Revision
	Version     int64 // zero if the key was deleted
}

func put(e kv.Entry) change {
	return change{[]byte(e.Key), e.Value, e.CreateRevision, e.ModRevision, e.Version}
}

func (c change) entry() kv.Entry {
	return kv.Entry{Key: string(c.Key), Value: c.Value, CreateRevision: c.Create, ModRevision: c.Mod, Version: c.Version}
}

func (c change) event() kv.Event {
	if c.Version == 0 {
		return kv.Event{Type: kv.EventDelete, Entry: c.entry()}
	}
	return kv.Event{Type: kv.EventPut, Entry: c.entry()}
}

// A log is an open log file, with the contents that were read so far.
type log struct {
	header
	file  *os.File
	info  os.FileInfo
	last  kv.Revision // of the last record
	live  map[string]kv.Entry
	lines []int64 // where the records begin
	end   int64   // where the last line ends
	torn  bool    // an incomplete line follows it
}

// openLog opens the log at path, and reads it up to a revision.
func openLog(path string, until kv.Revision) (*log, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l := &log{file: file, live: make(map[string]kv.Entry)}
	if l.info, err = file.Stat(); err == nil {
		l.header, l.end, err = readHeader(file)
	}
	if err == nil {
		l.last = l.Revision
		l.apply(l.Entries)
		l.Entries = nil
		err = l.read(until)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return l, nil
}

// readHeader reads the first line of a log and returns its length.
func readHeader(r io.Reader) (h header, size int64, err error) {
	text, err := bufio.NewReader(r).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	return h, int64(len(text)), err
}

// read reads the records that were added since the last read, up to a revision.
func (l *log) read(until kv.Revision) error {
	unread := bufio.NewReader(io.NewSectionReader(l.file, l.end, 1<<62))
	for l.last < until {
		text, err := unread.ReadBytes('\n')
		if err == io.EOF {
			l.torn = len(text) > 0 // its writer is still writing, or was killed
			return nil
		}
		if err != nil {
			return err
		}
		var rec record
		isRecord := json.Unmarshal(text, &rec) == nil
		if isRecord && rec.Revision != l.last+1 {
			return fmt.Errorf("the log is damaged: record %d follows %d", rec.Revision, l.last) // end stays, so the next read fails too
		}
		begin := l.end
		l.end += int64(len(text))
		if !isRecord {
			continue // a killed writer left this line; after any other damage, the next record has a wrong number
		}
		l.last, l.lines = rec.Revision, append(l.lines, begin)
		l.apply(rec.Changes)
	}
	return nil
}

func (l *log) apply(changes []change) {
	for _, c := range changes {
		if c.Version == 0 {
			delete(l.live, string(c.Key))
		} else {
			l.live[string(c.Key)] = c.entry()
		}
	}
}

// record reads the record of a revision again. The revision is above that of the header, and at most last.
func (l *log) record(rev kv.Revision) (rec record, err error) {
	begin := l.lines[rev-l.Revision-1]
	err = json.NewDecoder(io.NewSectionReader(l.file, begin, l.end-begin)).Decode(&rec)
	return rec, err
}

// snapshot returns the header of a log with the contents of l and no history.
func (l *log) snapshot() header {
	h := header{Revision: l.last, Restored: l.Restored}
	for _, e := range l.live {
		h.Entries = append(h.Entries, put(e))
	}
	return h
}

// line encodes a header or a record as a line of a log.
func line(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // headers and records always marshal
	}
	return append(text, '\n')
}
