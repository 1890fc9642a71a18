package logkv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// poll is the interval in which a watch looks for writes of other Stores, and in which a writer tries to get the lock.
const poll = 10 * time.Millisecond

// Store is a [kv.Store], a [kv.Writer] and a [kv.Committer] over a log. Its methods may be called concurrently.
type Store struct {
	path   string
	turn   chan struct{} // holds a token while this Store writes, or waits for its turn
	closed chan struct{} // closed by Close
	once   sync.Once     // closes closed

	mu    sync.Mutex
	log   *log
	grown chan struct{} // closed and replaced when the log has grown
}

// Open opens the log at path, and makes an empty one if there is none. It makes two more files when it needs them: path.new,
// and path.lock, which may be deleted while no Store has the log open.
func Open(path string) (*Store, error) {
	s := &Store{path: path, turn: make(chan struct{}, 1), closed: make(chan struct{}), grown: make(chan struct{})}
	if err := s.open(); err != nil {
		return nil, failures.Op(context.Background(), "open", err)
	}
	return s, nil
}

func (s *Store) open() error {
	release, err := s.takeTurn(context.Background())
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		if err := replace(s.path, line(header{})); err != nil {
			return err
		}
	}
	s.log, err = openLog(s.path, math.MaxInt64)
	return err
}

// Close ends the watches of s. Every later use of s fails with [kv.ErrClosed]. Close waits for a pending write.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closed) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.log.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Get implements [kv.Store].
func (s *Store) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.get(ctx, r)
	if err != nil {
		return kv.Snapshot{}, failures.Op(ctx, "get "+r.String(), err)
	}
	return snapshot, nil
}

func (s *Store) get(ctx context.Context, r kv.Range) (snapshot kv.Snapshot, err error) {
	if err := r.Validate(); err != nil {
		return snapshot, err
	}
	if err := ctx.Err(); err != nil {
		return snapshot, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return snapshot, err
	}
	snapshot.Revision = s.log.last
	if key, ok := r.Key(); ok {
		if e, ok := s.log.live[key]; ok {
			snapshot.Entries = []kv.Entry{e.Clone()}
		}
		return snapshot, nil
	}
	for key, e := range s.log.live {
		if r.Contains(key) {
			snapshot.Entries = append(snapshot.Entries, e.Clone())
		}
	}
	slices.SortFunc(snapshot.Entries, func(a, b kv.Entry) int { return strings.Compare(a.Key, b.Key) })
	return snapshot, nil
}

// refresh reads what was written to the log since the last read. The caller holds mu.
func (s *Store) refresh() error {
	select {
	case <-s.closed:
		return kv.ErrClosed
	default:
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	before := s.log.last
	if !os.SameFile(info, s.log.info) { // compacted, or restored
		other, err := openLog(s.path, math.MaxInt64)
		if err != nil {
			return err
		}
		s.log.file.Close()
		s.log = other
	} else if info.Size() < s.log.end {
		return fmt.Errorf("the log is damaged: it has %d bytes, and had %d", info.Size(), s.log.end)
	} else if err := s.log.read(math.MaxInt64); err != nil {
		return err
	}
	if s.log.last > before {
		close(s.grown)
		s.grown = make(chan struct{})
	}
	return nil
}

// pause waits for the time of one poll, or until wake is closed if that is sooner.
func (s *Store) pause(ctx context.Context, wake <-chan struct{}) error {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-wake:
		return nil
	case <-s.closed:
		return kv.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
