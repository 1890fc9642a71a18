package value_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// judge compares what the calls returned with what was written.
func (p updateProgram) judge(calls []call, written []kv.Event) error {
	slices.SortFunc(written, func(a, b kv.Event) int { return int(a.ModRevision - b.ModRevision) })
	j := ledger{puts: make(map[string][]kv.Revision), at: make(map[kv.Revision]account), claimed: make(map[kv.Revision]string)}
	if err := j.read(written); err != nil {
		return err
	}
	j.sure = !p.has("compaction", "delete", "check and delete") && p.exists
	for _, c := range calls {
		if err := j.check(c, len(p.troubles) == 0); err != nil {
			return fmt.Errorf("%w\ncall:     %s of writer %s returned revision %d, error: %v\nwritten:  %v", err, c.kind, c.name, c.revision, c.err, j.story)
		}
	}
	return errors.Join(j.sum("puts", len(j.puts[""]), j.plain), j.sum("deletions", j.deletions, j.deleted))
}

// ledger has what was written, and what the calls reported.
type ledger struct {
	puts      map[string][]kv.Revision // by author; calls that are not distinct have the empty author
	at        map[kv.Revision]account
	deletions int
	story     []string

	sure           bool // no fault prevents distinct and idempotent calls from finding the outcome
	claimed        map[kv.Revision]string
	plain, deleted outcomes
}

// outcomes counts what the calls report about writes without an author.
type outcomes struct{ done, unknown int }

func promised(format string, args ...any) error {
	return fmt.Errorf("promised: "+format, args...)
}

// read checks that each write changes the value that was there before.
func (j *ledger) read(written []kv.Event) error {
	var before account
	for _, e := range written {
		if e.Type == kv.EventDelete {
			j.deletions++
			j.story = append(j.story, fmt.Sprintf("%d deleted", e.ModRevision))
			before = account{}
			continue
		}
		a, err := accounts.Decode(e.Value)
		if err != nil {
			return err
		}
		j.story = append(j.story, fmt.Sprintf("%d %s", e.ModRevision, e.Value))
		if a.N != before.N+1 {
			return promised("a write replaces exactly the value that it changes, and a call that changes nothing writes nothing\nhappened: %v", j.story)
		}
		before, j.at[e.ModRevision] = a, a
		j.puts[a.By] = append(j.puts[a.By], e.ModRevision)
	}
	return nil
}

// check compares one call with what was written.
func (j *ledger) check(c call, calm bool) error {
	made := j.puts[c.name]
	unknown := errors.Is(c.err, value.ErrOutcomeUnknown)
	switch {
	case unknown && (calm && c.patience == long):
		return promised("without a fault the outcome is known")
	case unknown && !strings.Contains(c.err.Error(), accountKey):
		return promised("an unknown outcome names the key")
	case c.err == nil && !c.idempotent() && c.writes():
		if other, taken := j.claimed[c.revision]; taken {
			return promised("each call has its own write, but the write of revision %d also belongs to %s", c.revision, other)
		}
		j.claimed[c.revision] = c.name
	case c.err != nil && !unknown && len(made) > 0:
		return promised("a call with an error other than ErrOutcomeUnknown has written nothing")
	case c.err != nil && !unknown:
		return c.mayFail()
	}
	switch c.kind {
	case "add nothing", "refuse":
		if unknown || c.kind == "refuse" {
			return promised("a call that writes nothing reports that, and refusals are returned")
		}
		return nil
	case "add distinct", "create distinct":
		if len(made) > 1 || c.err == nil && (len(made) == 0 || made[0] != c.revision) {
			return promised("the change is written once, at the returned revision; or the outcome is unknown and the change is written at most once")
		}
		if unknown && c.kind == "add distinct" && j.sure && c.patience == long {
			return promised("a distinct update of an existing key finds its outcome")
		}
	case "add name", "create name":
		if c.err == nil && c.kind == "add name" && !slices.Contains(j.at[c.revision].Names, c.name) {
			return promised("the value at the returned revision has the change")
		}
		if c.err == nil && len(made) == 0 {
			return promised("a write that is reported was made")
		}
		if unknown && j.sure && c.patience == long {
			return promised("an idempotent update is made again until it is acknowledged")
		}
	case "add", "create":
		if c.err == nil && (j.at[c.revision].N == 0 || j.at[c.revision].By != "") {
			return promised("the returned revision is that of the write")
		}
		j.plain.add(unknown)
	case "delete", "check and delete":
		j.deleted.add(unknown)
	}
	return nil
}

func (t *outcomes) add(unknown bool) {
	if unknown {
		t.unknown++
	} else {
		t.done++
	}
}

// sum checks that the writes without an author are those that calls have reported as done, and some of the unknown ones.
func (j *ledger) sum(what string, n int, t outcomes) error {
	if n < t.done || n > t.done+t.unknown {
		return promised("each write is made once, or its outcome is unknown\nhappened: %d calls reported %s as made, for %d calls the outcome is unknown, and there are %d: %v",
			t.done, what, t.unknown, n, j.story)
	}
	return nil
}

func (c *call) idempotent() bool { return c.kind == "add name" || c.kind == "create name" }
func (c *call) writes() bool     { return c.kind != "add nothing" && c.kind != "refuse" }

// mayFail returns an error unless a call that has written nothing may fail in this way.
func (c *call) mayFail() error {
	switch {
	case errors.Is(c.err, context.DeadlineExceeded) && c.patience < long,
		c.kind == "refuse" && c.err == errRefused,
		c.kind == "add nothing" && c.err == errNoAccount,
		strings.HasPrefix(c.kind, "create") && errors.Is(c.err, kv.ErrConflict),
		strings.HasSuffix(c.kind, "delete") && errors.Is(c.err, kv.ErrNotFound):
		return nil
	}
	return promised("a call waits for the end of an outage, and retries after a conflict")
}
