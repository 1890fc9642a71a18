package memory

import (
	"fmt"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// etcd counts about this many bytes in addition to keys and values. It limits the message that a member proposes to the
// other members. The exact size depends on the member, because the message holds a number of that member.
const (
	requestHeader = 24
	perPart       = 16 // for each operation and each condition
)

// tooLarge returns an error if ops exceed the number of operations, or of bytes, that a request may have.
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
				bytes += perPart + len(op.Key) // a condition names the key again
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

// tooLong returns an error if the keys of r are longer than a request for r may be.
func (s *Store) tooLong(r mvcc.Range) error {
	bytes := r.Size()
	if most := s.settings.maxRequest + mvcc.RequestOverhead; s.settings.maxRequest > 0 && bytes > most {
		return fmt.Errorf("%w: about %d bytes, %d are allowed", kv.ErrTooLarge, bytes, most)
	}
	return nil
}

// unlessClosed returns err, or kv.ErrClosed if the store is closed.
func (s *Store) unlessClosed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return kv.ErrClosed
	}
	return err
}
