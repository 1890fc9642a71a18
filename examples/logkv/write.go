package logkv

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/watchkv/watchkv/kv"
)

// MaxValue is the largest number of bytes of a value.
const MaxValue = 4 << 20

// Put implements [kv.Writer].
func (s *Store) Put(ctx context.Context, key string, value []byte, conditions ...kv.Condition) (kv.Revision, error) {
	return s.commit(ctx, fmt.Sprintf("put %q", key), kv.PutOp(key, value, conditions...))
}

// Delete implements [kv.Writer].
func (s *Store) Delete(ctx context.Context, key string, conditions ...kv.Condition) (kv.Revision, error) {
	return s.commit(ctx, fmt.Sprintf("delete %q", key), kv.DeleteOp(key, conditions...))
}

// Commit implements [kv.Committer].
func (s *Store) Commit(ctx context.Context, ops ...kv.Op) (kv.Revision, error) {
	what := "commit"
	for _, op := range ops {
		what += fmt.Sprintf(" %q", op.Key)
	}
	return s.commit(ctx, what, ops...)
}

func (s *Store) commit(ctx context.Context, what string, ops ...kv.Op) (rev kv.Revision, err error) {
	err = validate(ops)
	if err == nil {
		err = s.alone(ctx, func(l *log) error {
			rec, err := next(l, ops)
			if err != nil || len(rec.Changes) == 0 {
				rev = l.last
				return err
			}
			rev = rec.Revision
			return s.append(line(rec)) // each Store, also this one, applies the change when it reads the line
		})
	}
	if err != nil {
		return 0, failures.Op(ctx, what, err)
	}
	return rev, nil
}

func validate(ops []kv.Op) error {
	if err := kv.ValidateOps(ops); err != nil {
		return err
	}
	for _, op := range ops {
		if len(op.Value) > MaxValue {
			return fmt.Errorf("%w: a value of %d bytes", kv.ErrTooLarge, len(op.Value))
		}
	}
	return nil
}

// next returns the record that ops make.
func next(l *log, ops []kv.Op) (record, error) {
	rec := record{Revision: l.last + 1}
	for _, op := range ops {
		e, exists := l.live[op.Key]
		for _, c := range op.Conditions {
			if !c.Holds(e.ModRevision) {
				return record{}, kv.ErrConflict
			}
		}
		switch {
		case op.Type == kv.EventPut && exists:
			e.Value, e.ModRevision, e.Version = op.Value, rec.Revision, e.Version+1
			rec.Changes = append(rec.Changes, put(e))
		case op.Type == kv.EventPut:
			rec.Changes = append(rec.Changes, change{[]byte(op.Key), op.Value, rec.Revision, rec.Revision, 1})
		case exists:
			rec.Changes = append(rec.Changes, change{Key: []byte(op.Key), Mod: rec.Revision})
		}
	}
	return rec, nil
}

// append adds text to the end of the log, durably.
func (s *Store) append(text []byte) error {
	file, err := os.OpenFile(s.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(text)
	return errors.Join(err, file.Sync())
}

// alone calls f with the complete log while no other writer can write to it. Then it reads what f wrote.
func (s *Store) alone(ctx context.Context, f func(*log) error) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.refresh()
	if err == nil && s.log.torn { // end the line of a killed writer; readers skip it unless it is a complete record
		if err = s.append([]byte("\n")); err == nil {
			err = s.refresh()
		}
	}
	if err == nil {
		err = f(s.log)
	}
	if err == nil {
		err = s.refresh()
	}
	return err
}

// takeTurn waits until no other Store writes, in this process or another. No other Store writes until release is called.
func (s *Store) takeTurn(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	file, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		<-s.turn
		return nil, err
	}
	release = func() { file.Close(); <-s.turn }
	for {
		if err = tryLock(file); err == nil {
			return release, nil
		}
		if err == errLocked {
			err = s.pause(ctx, nil)
		}
		if err != nil {
			release()
			return nil, err
		}
	}
}
