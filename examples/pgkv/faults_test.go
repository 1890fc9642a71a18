package pgkv_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
)

// fault is what happens to a trial, several times.
type fault struct {
	name  string
	times int
	do    func(*trial) error
}

// V3 to V8 and W1 to W13, by the judge that etcd has: nothing is lost, nothing comes twice, and every gap has a reason.
func TestValuesLoseNothingWhile(t *testing.T) {
	s, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.remove()
	for _, f := range []fault{
		{"the server is killed", 2, func(t *trial) error {
			t.server.kill()
			return t.server.start()
		}},
		{"the server is restarted", 2, func(t *trial) error {
			t.server.stop()
			return t.server.start()
		}},
		{"every connection is dropped", 5, func(t *trial) error {
			return t.server.exec(t.ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
		}},
		{"the network swallows everything", 3, func(t *trial) error {
			t.watched.link.Swallow()
			defer t.watched.link.Heal()
			return t.writes(40)
		}},
		{"the network is cut", 3, func(t *trial) error {
			t.watched.link.Cut()
			defer t.watched.link.Heal()
			return t.writes(40)
		}},
		{"history is compacted while the network is cut", 3, func(t *trial) error {
			t.watched.link.Cut()
			defer t.watched.link.Heal()
			if err := t.writes(40); err != nil {
				return err
			}
			return t.log.Forget(t.ctx, t.written.Compact)
		}},
		{"an older copy is restored", 2, restoreOlder},
	} {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) { try(t, s, s.url(""), f) })
	}
}

// A copy that has all acknowledged writes takes over, as in a cluster with synchronous replication: no reader notices more than an outage.
func TestValuesLoseNothingWhileACopyIsPromoted(t *testing.T) {
	s, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.remove()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	standby, err := s.standby(ctx)
	if standby != nil {
		defer standby.remove()
	}
	if err != nil {
		t.Fatal(err)
	}
	both := fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable&target_session_attrs=read-write", s.port, standby.port)
	done := try(t, s, both, fault{"promoted", 1, func(t *trial) error {
		t.server.kill()
		if err := standby.exec(t.ctx, "ALTER SYSTEM SET synchronous_standby_names = ''"); err != nil {
			return err
		}
		t.server = standby
		return standby.exec(t.ctx, "SELECT pg_promote()")
	}})
	if n := done.watchers.Counts().Gaps; n > 0 {
		t.Errorf("the copy had everything, and the watchers returned %d gaps, want none", n)
	}
}

// restoreOlder does what an operator does after a disaster, with the files of the whole server.
func restoreOlder(t *trial) error {
	t.stopWriting()
	defer t.startWriting()
	backup := filepath.Join(t.server.dir, "backup")
	defer os.RemoveAll(backup)
	t.server.stop()
	if err := copyData(t.server.data, backup); err != nil {
		return err
	}
	if err := t.server.start(); err != nil {
		return err
	}
	var backedUp kv.Revision
	if err := t.server.query(t.ctx, "SELECT revision FROM "+t.written.schema+".state", &backedUp); err != nil {
		return err
	}
	t.startWriting()
	if err := t.writes(30); err != nil {
		return err
	}
	t.stopWriting()
	return t.log.Restore(t.ctx, func(context.Context) (kv.Revision, error) {
		t.server.kill()
		if err := os.RemoveAll(t.server.data); err != nil {
			return 0, err
		}
		if err := os.Rename(backup, t.server.data); err != nil {
			return 0, err
		}
		if err := t.server.start(); err != nil {
			return 0, err
		}
		t.written.pool.Reset()
		return backedUp, t.written.reopen(t.ctx)
	})
}
