package pgkv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/watchkv/watchkv/examples/pgkv"
	"github.com/watchkv/watchkv/examples/pgkv/pgtest"
	"github.com/watchkv/watchkv/internal/judge"
	"github.com/watchkv/watchkv/kv"
)

// fault is a fault that happens several times in a trial.
type fault struct {
	name  string
	times int
	do    func(*trial) error
}

// The judge that also tests etcd checks V3 to V8 and W1 to W13: nothing is lost, nothing comes twice, and every gap has a reason.
func TestValuesMissNothingDuringFaults(t *testing.T) {
	s, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Remove()
	for _, f := range []fault{
		{"the server is killed", 2, func(t *trial) error {
			t.server.Kill()
			return t.server.Start()
		}},
		{"the server is restarted", 2, func(t *trial) error {
			t.server.Stop()
			return t.server.Start()
		}},
		{"every connection is dropped", 5, func(t *trial) error {
			return t.server.Exec(t.ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
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
			return judge.Forget(t.ctx, t.log, t.written.Compact)
		}},
		{"an older copy is restored", 2, restoreOlder},
	} {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) { try(t, s, s.URL(""), f) })
	}
}

func TestStandby(t *testing.T) {
	s, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Remove()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	standby, err := s.Standby(ctx)
	if standby != nil {
		defer standby.Remove()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Run("S1-does-not-answer", func(t *testing.T) { doesNotAnswer(t, s, standby) })
	t.Run("Values-lose-nothing-while-it-is-promoted", func(t *testing.T) { loseNothingWhilePromoted(t, s, standby) })
}

// S1: a standby may be behind. A Store that is connected to a standby must not answer from it.
func doesNotAnswer(t *testing.T, s, standby *pgtest.Server) {
	o := open(t, s, "watchkv")
	pool, err := pgxpool.New(t.Context(), standby.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	reader, err := pgkv.Open(t.Context(), pool, pgkv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	putMany(t, o, "k", 1)
	if _, err := reader.Get(t.Context(), kv.Key("k")); !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "standby") {
		t.Errorf("a Get that a standby answers: %v, want ErrUnavailable, and why", err)
	}
	for _, err := range reader.Watch(t.Context(), kv.Key("k"), 0) {
		if !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("a Watch that a standby answers: %v, want ErrUnavailable", err)
		}
		break
	}
}

// A standby that has all acknowledged writes takes over, as in a cluster with synchronous replication. Readers notice only an outage.
func loseNothingWhilePromoted(t *testing.T, s, standby *pgtest.Server) {
	both := fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable&target_session_attrs=read-write", s.Port(), standby.Port())
	done := try(t, s, both, fault{"promoted", 1, func(t *trial) error {
		t.server.Kill()
		if err := standby.Exec(t.ctx, "ALTER SYSTEM SET synchronous_standby_names = ''"); err != nil {
			return err
		}
		t.server = standby
		return standby.Exec(t.ctx, "SELECT pg_promote()")
	}})
	if n := done.watchers.Counts().Gaps; n > 0 {
		t.Errorf("the copy had everything, and the watchers returned %d gaps, want none", n)
	}
}

// restoreOlder restores all files of the server, like an operator after a disaster.
func restoreOlder(t *trial) error {
	t.stopWriting()
	defer t.startWriting()
	restore, err := t.server.Backup()
	if err != nil {
		return err
	}
	var backedUp kv.Revision
	if err := t.server.Query(t.ctx, "SELECT revision FROM "+t.written.schema+".state", &backedUp); err != nil {
		return err
	}
	t.startWriting()
	if err := t.writes(30); err != nil {
		return err
	}
	t.stopWriting()
	return t.log.Restore(t.ctx, func(context.Context) (kv.Revision, error) {
		if err := restore(); err != nil {
			return 0, err
		}
		t.written.pool.Reset()
		return backedUp, t.written.reopen(t.ctx)
	})
}
