package program_test

import (
	"strings"
	"testing"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/property_test/internal/program"
)

func TestAFailurePrintsGoCode(t *testing.T) {
	leaktest.Check(t)
	p := program.Program{
		program.Put("a\xff", "x", program.LastOf("a", -1), program.Exactly(0)),
		program.Commit(program.Delete("a", program.Now(1)), program.Put("b", "")),
		program.Commit(),
		program.Get(kv.Key("")),
		program.Get(kv.Interval("b", "a")),
		program.Get(kv.Range{}),
		program.Compact(program.Start(-2)),
		program.Watch(kv.Prefix("a"), program.Now(0)),
		program.Progress(),
		program.Resume(0, 2),
		program.Get(kv.All()),
	}
	want := program.Answers{"+1", "+2", "+2", "invalid key", "invalid range", "invalid range", "done", "end: canceled", "done",
		"delete \"a\" (+2)\nend: canceled", "at +2"}
	got := append(program.Answers{}, want...)
	got[9] = "end: closed"
	text := program.Difference(p, got, want)
	const code = `a program of 11 steps tells the stores apart:
program.Transcript{
	program.Ask(program.Put("a\xff", "x", program.LastOf("a", -1), program.Exactly(0)), "+1"),
	program.Ask(program.Commit(program.Delete("a", program.Now(1)), program.Put("b", "")), "+2"),
	program.Ask(program.Commit(), "+2"),
	program.Ask(program.Get(kv.Key("")), "invalid key"),
	program.Ask(program.Get(kv.Interval("b", "a")), "invalid range"),
	program.Ask(program.Get(kv.Range{}), "invalid range"),
	program.Ask(program.Compact(program.Start(-2)), "done"),
	program.Ask(program.Watch(kv.Prefix("a"), program.Now(0)), "end: canceled"),
	program.Ask(program.Progress(), "done"),
	program.Ask(program.Resume(0, 2),
		BACKQUOTEdelete "a" (+2)BACKQUOTE,
		"end: canceled",
	),
	program.Ask(program.Get(kv.All()), "at +2"),
}
The answer to step 10, program.Resume(0, 2), is
	end: closed
and not
	delete "a" (+2)
	end: canceled`
	if wanted := strings.ReplaceAll(code, "BACKQUOTE", "`"); text != wanted {
		t.Errorf("printed\n%s\nwant\n%s", text, wanted)
	}
	if text := program.Difference(p, want, want); text != "" {
		t.Errorf("the same answers differ: %s", text)
	}
}
