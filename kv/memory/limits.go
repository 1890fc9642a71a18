package memory

import (
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// About how many bytes etcd counts beside keys and values. What it limits is the message that a member proposes to the others,
// whose exact size depends on the member, because it has a number of its own in it.
const (
	requestHeader = 24
	perPart       = 16 // of each operation and of each condition

	// readMore is how much larger a request may be that writes nothing: it is limited by the server's gRPC alone, which allows
	// for what goes around a write.
	readMore = 512 << 10
)

// tooLarge returns an error if ops are more, or take more bytes, than a request may.
func (s *Store) tooLarge(ops []kv.Op) error {
	conditions, bytes := 0, requestHeader
	for i := range ops {
		op := &ops[i]
		bytes += perPart + len(op.Key)
		if op.Type == kv.EventPut {
			bytes += len(op.Value)
		}
		for _, c := range op.Conditions {
			if _, ok := c.ModRevision(); ok {
				conditions++
				bytes += perPart + len(op.Key) // which it names again
			}
		}
	}
	if n := max(len(ops), conditions); s.settings.maxOps > 0 && n > s.settings.maxOps {
		return fmt.Errorf("%w: %d operations or conditions, %d are allowed", kv.ErrTooLarge, n, s.settings.maxOps)
	}
	if s.settings.maxRequest > 0 && bytes > s.settings.maxRequest {
		return fmt.Errorf("%w: about %d bytes, %d are allowed", kv.ErrTooLarge, bytes, s.settings.maxRequest)
	}
	return nil
}

// tooLong returns an error if r's keys are longer than a request may be, where they are all there is to it.
func (s *Store) tooLong(r kv.Range) error {
	from, to, _ := r.Bounds()
	bytes := len(from)
	if _, ok := r.Key(); !ok {
		bytes += len(to)
	}
	if most := s.settings.maxRequest + readMore; s.settings.maxRequest > 0 && bytes > most {
		return fmt.Errorf("%w: about %d bytes, %d are allowed", kv.ErrTooLarge, bytes, most)
	}
	return nil
}

// unlessClosed returns err, or that the store is closed.
func (s *Store) unlessClosed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return kv.ErrClosed
	}
	return err
}
