package lastknown

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/kv"
)

const (
	magic   = "watchkv-lastknown "
	version = 1
	header  = magic + "%d %d %x\n" // version, length and hash of the JSON

	longestHeader = 256
)

// content is the JSON of a file.
type content struct {
	Name     string      `json:"range"` // for people
	From     []byte      `json:"from"`
	To       []byte      `json:"to,omitempty"`
	Bounded  bool        `json:"bounded"` // by To
	Revision kv.Revision `json:"revision"`
	Cluster  []byte      `json:"cluster,omitempty"`
	Time     time.Time   `json:"time"`
	Entries  []entry     `json:"entries"`
}

type entry struct {
	Key     []byte      `json:"key"`
	Value   []byte      `json:"value"`
	Create  kv.Revision `json:"create"`
	Mod     kv.Revision `json:"mod"`
	Version int64       `json:"version"`
}

// encode returns the bytes of the file of a valid record.
func encode(r Record) ([]byte, error) {
	from, to, bounded := r.Range.Bounds()
	c := content{
		Name: r.Range.String(), From: []byte(from), To: []byte(to), Bounded: bounded,
		Revision: r.Snapshot.Revision, Cluster: r.Cluster, Time: r.Time,
		Entries: make([]entry, len(r.Snapshot.Entries)),
	}
	for i, e := range r.Snapshot.Entries {
		c.Entries[i] = entry{Key: []byte(e.Key), Value: e.Value, Create: e.CreateRevision, Mod: e.ModRevision, Version: e.Version}
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, header, version, len(body), sha256.Sum256(body)), body...), nil
}

// decode returns the record of r that is in file, the bytes of a file.
func decode(file []byte, r kv.Range) (Record, error) {
	body, err := check(file)
	if err != nil {
		return Record{}, err
	}
	var c content
	if err := json.Unmarshal(body, &c); err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	from, to, bounded := r.Bounds()
	if string(c.From) != from || string(c.To) != to || c.Bounded != bounded {
		return Record{}, fmt.Errorf("%w: it is of %.256s", ErrForeign, c.Name)
	}
	record := Record{Range: r, Snapshot: kv.Snapshot{Revision: c.Revision}, Cluster: c.Cluster, Time: c.Time}
	if len(c.Entries) > 0 {
		record.Snapshot.Entries = make([]kv.Entry, len(c.Entries))
	}
	for i, e := range c.Entries {
		record.Snapshot.Entries[i] = kv.Entry{Key: string(e.Key), Value: e.Value, CreateRevision: e.Create, ModRevision: e.Mod, Version: e.Version}
	}
	if err := record.validate(); err != nil {
		return Record{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return record, nil
}

// check returns the JSON of a file, if it is whole.
func check(file []byte) (body []byte, err error) {
	if err := checkStart(file[:min(len(file), longestHeader)], int64(len(file))); err != nil {
		return nil, err
	}
	end := bytes.IndexByte(file, '\n')
	first, body := file[:end+1], file[end+1:]
	if !bytes.Equal(first, fmt.Appendf(nil, header, version, len(body), sha256.Sum256(body))) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	return body, nil
}

// checkStart returns why a file of that size cannot be whole, as far as its first bytes show. A damaged file may be of any size, larger
// than the memory too. The first line shows that without the rest.
func checkStart(start []byte, size int64) error {
	if !bytes.HasPrefix(start, []byte(magic)) {
		if bytes.HasPrefix([]byte(magic), start) {
			return fmt.Errorf("%w: it ends after %d bytes", ErrDamaged, len(start))
		}
		return fmt.Errorf("%w: it does not begin with %q", ErrForeign, magic)
	}
	end := bytes.IndexByte(start, '\n')
	if end < 0 {
		return fmt.Errorf("%w: its first line has no end", ErrDamaged)
	}
	var itsVersion int
	var length int64
	size -= int64(end) + 1
	switch n, _ := fmt.Sscanf(string(start[:end]), magic+"%d %d", &itsVersion, &length); {
	case n > 0 && itsVersion != version:
		return fmt.Errorf("%w: its format has version %d, and this program knows version %d", ErrForeign, itsVersion, version)
	case n < 2:
		return fmt.Errorf("%w: its first line has no length", ErrDamaged)
	case length != size:
		return fmt.Errorf("%w: it has %d bytes and should have %d", ErrDamaged, size, length)
	}
	return nil
}
