package property_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/property_test/internal/program"
)

// regression is a program with etcd's answers. Another store has given, or might give, a wrong answer.
type regression struct {
	name       string
	isNew      bool // the program runs on a new store, without program.Begin
	transcript program.Transcript
}

var regressions = []regression{
	{
		name: "a commit that changes nothing makes no revision",
		transcript: program.Transcript{
			program.Ask(program.Put("a", "x"), "+1"),
			program.Ask(program.Watch(kv.All(), program.Now(0)),
				`put "\x00" = "mark" (created +2, modified +2, version 1)`,
				"end: canceled",
			),
			program.Ask(program.Commit(), "+1"),
			program.Ask(program.Delete("b"), "+1"),
			program.Ask(program.Commit(program.Delete("b"), program.Delete("c", program.Exactly(0))), "+1"),
			program.Ask(program.Get(kv.All()),
				"at +1",
				`"a" = "x" (created +1, modified +1, version 1)`,
			),
		},
	},
	{
		name: "a put of the value that is there makes a revision",
		transcript: program.Transcript{
			program.Ask(program.Put("a", "x"), "+1"),
			program.Ask(program.Put("a", "x"), "+2"),
			program.Ask(program.Get(kv.Key("a")),
				"at +2",
				`"a" = "x" (created +1, modified +2, version 2)`,
			),
		},
	},
	{
		name:  "a new store can be compacted at revision 0, once, and loses nothing by it",
		isNew: true,
		transcript: program.Transcript{
			program.Ask(program.Put("a", "x"), "+1"),
			program.Ask(program.Compact(program.Exactly(-1)), "compacted"),
			program.Ask(program.Compact(program.Exactly(0)), "done"),
			program.Ask(program.Compact(program.Exactly(0)), "compacted"),
			program.Ask(program.Watch(kv.All(), program.Exactly(0)),
				`put "a" = "x" (created +1, modified +1, version 1)`,
				`put "\x00" = "mark" (created +2, modified +2, version 1)`,
				"end: canceled",
			),
		},
	},
	{
		name: "a conditional put that loses changes nothing",
		transcript: program.Transcript{
			program.Ask(program.Put("a", "x"), "+1"),
			program.Ask(program.Watch(kv.All(), program.Now(0)),
				`put "a" = "y" (created +1, modified +2, version 2)`,
				`put "\x00" = "mark" (created +3, modified +3, version 1)`,
				"end: canceled",
			),
			program.Ask(program.Put("a", "y", program.Exactly(0)), "conflict"),
			program.Ask(program.Put("a", "y", program.LastOf("a", -1)), "conflict"),
			program.Ask(program.Put("b", "y", program.LastOf("a", 0)), "conflict"),
			program.Ask(program.Put("a", "y", program.LastOf("a", 0), program.LastOf("a", 1)), "conflict"),
			program.Ask(program.Get(kv.All()),
				"at +1",
				`"a" = "x" (created +1, modified +1, version 1)`,
			),
			program.Ask(program.Put("a", "y", program.LastOf("a", 0)), "+2"),
		},
	},
	{
		name: "a condition on a key that was deleted holds for revision 0, not for that of the deletion",
		transcript: program.Transcript{
			program.Ask(program.Put("a", "x"), "+1"),
			program.Ask(program.Delete("a"), "+2"),
			program.Ask(program.Put("a", "y", program.LastOf("a", 0)), "conflict"),
			program.Ask(program.Delete("a", program.LastOf("a", 0)), "conflict"),
			program.Ask(program.Delete("a", program.Exactly(0)), "+2"),
			program.Ask(program.Put("a", "y", program.Exactly(0)), "+3"),
		},
	},
	{
		name: "conditions of a commit are about what was there before it",
		transcript: program.Transcript{
			program.Ask(program.Commit(program.Put("a", "x", program.Exactly(0)), program.Put("b", "x", program.Exactly(0))), "+1"),
			program.Ask(program.Commit(program.Delete("a", program.LastOf("a", 0)), program.Put("b", "y", program.Now(1))), "conflict"),
			program.Ask(program.Commit(program.Delete("a", program.LastOf("a", 0)), program.Put("b", "y", program.LastOf("a", 0))), "+2"),
			program.Ask(program.Get(kv.All()),
				"at +2",
				`"b" = "y" (created +1, modified +2, version 2)`,
			),
		},
	},
	{
		name: "a commit with one key twice is refused, whatever it does to it",
		transcript: program.Transcript{
			program.Ask(program.Put("a", "x"), "+1"),
			program.Ask(program.Commit(program.Put("a", "y"), program.Put("a", "z")), "invalid key"),
			program.Ask(program.Commit(program.Delete("a"), program.Put("a", "z")), "invalid key"),
			program.Ask(program.Commit(program.Delete("b"), program.Delete("b")), "invalid key"),
			program.Ask(program.Get(kv.All()),
				"at +1",
				`"a" = "x" (created +1, modified +1, version 1)`,
			),
		},
	},
	{
		name: "S3: a key that comes back starts over",
		transcript: program.Transcript{
			program.Ask(program.Put("a", "x"), "+1"),
			program.Ask(program.Put("a", "y"), "+2"),
			program.Ask(program.Get(kv.Key("a")),
				"at +2",
				`"a" = "y" (created +1, modified +2, version 2)`,
			),
			program.Ask(program.Delete("a"), "+3"),
			program.Ask(program.Get(kv.Key("a")), "at +3"),
			program.Ask(program.Put("a", "z"), "+4"),
			program.Ask(program.Get(kv.Key("a")),
				"at +4",
				`"a" = "z" (created +4, modified +4, version 1)`,
			),
			program.Ask(program.Compact(program.Now(0)), "done"),
			program.Ask(program.Put("a", "z"), "+5"),
			program.Ask(program.Get(kv.Key("a")),
				"at +5",
				`"a" = "z" (created +4, modified +5, version 2)`,
			),
		},
	},
	{
		name: "a compaction of the future is refused, one at the present is not",
		transcript: program.Transcript{
			program.Ask(program.Put("a", "1"), "+1"),
			program.Ask(program.Compact(program.Now(1)), "future"),
			program.Ask(program.Compact(program.Now(0)), "done"),
			program.Ask(program.Compact(program.Now(0)), "compacted"),
			program.Ask(program.Compact(program.Now(-1)), "compacted"),
			program.Ask(program.Get(kv.All()),
				"at +1",
				`"a" = "1" (created +1, modified +1, version 1)`,
			),
			program.Ask(program.Watch(kv.All(), program.Now(-1)),
				`put "a" = "1" (created +1, modified +1, version 1)`,
				`put "\x00" = "mark" (created +2, modified +2, version 1)`,
				"end: canceled",
			),
		},
	},
}

func TestProgramsWithKnownAnswers(t *testing.T) {
	leaktest.Check(t)
	member := startDifferentialEtcd(t)
	for _, r := range slices.Concat(regressions, watchRegressions) {
		t.Run(r.name, func(t *testing.T) {
			if r.isNew {
				r.check(t, "etcd", startDifferentialEtcd(t).runNew(t.Context(), r.transcript.Program()))
			} else {
				answers, err := member.run(t.Context(), r.transcript.Program())
				if err != nil {
					t.Fatal(err)
				}
				r.check(t, "etcd", answers)
			}
			r.check(t, "memory", r.inBubble(t, program.NewInMemory()))
			r.check(t, "the model", r.inBubble(t, program.NewModel()))
		})
	}
}

func (r regression) inBubble(t *testing.T, store program.Store) program.Answers {
	var answers program.Answers
	synctest.Test(t, func(t *testing.T) {
		start := kv.Revision(1)
		if !r.isNew {
			var err error
			if start, err = program.Begin(t.Context(), store); err != nil {
				t.Fatal(err)
			}
		}
		answers = program.Run(t.Context(), store, start, r.transcript.Program(), synctest.Wait)
	})
	return answers
}

func (r regression) check(t *testing.T, store string, got program.Answers) {
	t.Helper()
	if d := program.Difference(r.transcript.Program(), got, r.transcript.Answers()); d != "" {
		t.Errorf("%s: %s", store, d)
	}
}
