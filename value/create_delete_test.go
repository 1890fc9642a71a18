package value_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/value"
)

func TestCreateCreatesAKeyOnce(t *testing.T) {
	each(t, "Create puts an absent key, and refuses one that exists, whatever its value", func(w *world) {
		codec := value.JSONCodec[int]()
		r, err := value.Create(w.Context(), w.Store, w.key, codec, 7)
		w.wantUpdated(r, err, 7, r.Revision)
		_, err = value.Create(w.Context(), w.Store, w.key, codec, 7)
		w.wantErr(err, kv.ErrConflict)
		bad := w.put("bad")
		_, err = value.Create(w.Context(), w.Store, w.key, codec, 7)
		w.wantErr(err, kv.ErrConflict)
		w.wantStored("bad", bad)

		w.delete()
		h := w.Hold(fault.Puts)
		done := make(chan error)
		go func() {
			_, err := value.Create(w.Context(), w.Store, w.key, codec, 8)
			done <- err
		}()
		w.Held(h)
		at := w.put("9")
		h.Release()
		w.wantErr(<-done, kv.ErrConflict)
		w.wantStored("9", at)
	})
}

func TestDeleteDeletesOnlyTheValueThatCheckHasSeen(t *testing.T) {
	each(t, "Delete deletes exactly the value that check has accepted", func(w *world) {
		codec := value.JSONCodec[int]()
		_, err := value.Delete(w.Context(), w.Store, w.key, codec, nil)
		w.wantErr(err, kv.ErrNotFound)

		at := w.put("7")
		refusal := errors.New("not today")
		if _, err := value.Delete(w.Context(), w.Store, w.key, codec, func(int) error { return refusal }); err != refusal {
			w.broken("the error is %v, want %v", err, refusal)
		}
		w.wantStored("7", at)

		h := w.Hold(fault.Deletes)
		var seen []int
		done := make(chan error)
		go func() {
			_, err := value.Delete(w.Context(), w.Store, w.key, codec, func(old int) error {
				if seen = append(seen, old); old > 7 {
					return refusal
				}
				return nil
			})
			done <- err
		}()
		w.Held(h)
		at = w.put("8")
		h.Release()
		if err := <-done; err != refusal || fmt.Sprint(seen) != "[7 8]" {
			w.broken("check has seen %v, but Delete has returned %v", seen, err)
		}
		w.wantStored("8", at)

		w.put("bad")
		if _, err := value.Delete(w.Context(), w.Store, w.key, codec, func(int) error { return nil }); err == nil {
			w.broken("a value that does not decode was deleted although check has not seen it")
		}
		last := w.putOther()
		rev, err := value.Delete(w.Context(), w.Store, w.key, codec, nil)
		if err != nil || rev != last+1 {
			w.broken("Delete returned %d, %v, want %d", rev, err, last+1)
		}
		w.wantStored("", 0)
	})
}
