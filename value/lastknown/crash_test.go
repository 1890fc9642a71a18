package lastknown_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/lastknown"
)

const crashPath = "dir"

var crashKey = kv.Key("/a")

// oldAndNew returns two records. The second one replaces the first one.
func oldAndNew() (before, after lastknown.Record) {
	return record(crashKey, 7, 100, "/a"), record(crashKey, 8, 60, "/a")
}

func TestACrashAtAnyStepLeavesTheOldOrTheNewRecord(t *testing.T) {
	before, after := oldAndNew()
	for _, first := range []bool{true, false} {
		states, steps := 0, 0
		for stopAt := 1; ; stopAt++ {
			d := newDisk()
			if !first {
				save(t, lastknown.NewDirOn(crashPath, d), before)
			}
			d.steps, d.stopAt = 0, stopAt
			err := lastknown.NewDirOn(crashPath, d).Save(t.Context(), after)
			steps = d.steps
			for _, found := range d.crashes() {
				states++
				got, loadErr := lastknown.NewDirOn(crashPath, found).Load(t.Context(), crashKey)
				isNew, isOld := reflect.DeepEqual(got, after), reflect.DeepEqual(got, before)
				switch {
				case isNew:
				case err == nil:
					t.Errorf("Save returned nil and the machine stopped; then Load returned %v, %v", got, loadErr)
				case first && errors.Is(loadErr, lastknown.ErrNothingSaved), !first && isOld:
				default:
					t.Errorf("the machine stopped after %q; then Load returned %v, %v", d.trace, got, loadErr)
				}
			}
			if err == nil {
				break
			}
			if !errors.Is(err, errStopped) {
				t.Fatalf("the test itself: %v", err)
			}
		}
		t.Logf("%d steps, %d states of the disk", steps, states)
		if steps < 8 {
			t.Errorf("the test itself: %d steps", steps)
		}
	}
}

func TestASaveThatFailsAtAnyStepReturnsAnErrorAndLeavesTheOldOrTheNewRecord(t *testing.T) {
	full := errors.New("no space left")
	before, after := oldAndNew()
	for failAt := 1; ; failAt++ {
		d := newDisk()
		dir := lastknown.NewDirOn(crashPath, d)
		save(t, dir, before)
		d.steps, d.trace, d.failAt, d.failed = 0, nil, failAt, full
		err := dir.Save(t.Context(), after)
		if d.steps < failAt {
			if err != nil {
				t.Errorf("Save returned %v, but no step has failed", err)
			}
			return
		}
		if !errors.Is(err, full) {
			t.Fatalf("Save returned %v, but the last of %q has failed", err, d.trace)
		}
		got, err := dir.Load(t.Context(), crashKey)
		if renamed := d.trace[failAt-1] == "flush the directory"; err != nil || !reflect.DeepEqual(got, before) && !renamed {
			t.Errorf("the last of %q has failed; then Load returned %v, %v", d.trace, got, err)
		}
		if len(d.names) != 1 {
			t.Errorf("after %q there are %d files, want one", d.trace, len(d.names))
		}
		d.failAt = 0
		save(t, dir, after)
		wantLoaded(t, dir, after)
	}
}
