package history

import (
	"strings"
	"testing"

	"github.com/watchkv/watchkv/kv"
)

// These mistakes must be found by porcupine alone, without the log.
func TestPorcupineJudgesEachKey(t *testing.T) {
	write := func(rev kv.Revision, op kv.Op) Operation { return Operation{Writes: []kv.Op{op}, Revision: rev} }
	read := func(rev kv.Revision, found ...kv.Entry) Operation {
		return Operation{Range: kv.Key("/a"), Revision: rev, Entries: found}
	}
	one, two := kv.PutOp("/a", []byte("1")), kv.PutOp("/a", []byte("2"))
	for name, test := range map[string]struct {
		ops   []Operation
		right bool
	}{
		"right": {[]Operation{
			read(1), write(2, one), read(2, entry("/a", "1", 2, 2, 1)), write(3, two),
			read(3, entry("/a", "2", 2, 3, 2)), write(4, kv.DeleteOp("/a")), read(4), write(4, kv.DeleteOp("/a")),
		}, true},
		"stale read":     {[]Operation{write(2, one), write(3, two), read(3, entry("/a", "1", 2, 2, 1))}, false},
		"read too early": {[]Operation{read(2, entry("/a", "1", 2, 2, 1)), write(2, one)}, false},
		"lost update":    {[]Operation{write(2, one), read(2)}, false},
		"both winning": {[]Operation{
			write(2, kv.PutOp("/a", []byte("1"), kv.IfAbsent())), write(3, kv.PutOp("/a", []byte("2"), kv.IfAbsent())),
		}, false},
		"a conflict without a reason": {[]Operation{
			{Writes: []kv.Op{kv.PutOp("/a", []byte("1"), kv.IfAbsent())}, Outcome: Conflict},
		}, false},
		"an update not counted":   {[]Operation{write(2, one), write(3, two), read(3, entry("/a", "2", 2, 3, 1))}, false},
		"revisions that go back":  {[]Operation{write(3, one), write(2, two)}, false},
		"a deletion left no mark": {[]Operation{write(2, one), write(3, kv.DeleteOp("/a")), read(3, entry("/a", "1", 2, 2, 1))}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r Run
			for _, o := range test.ops {
				r.then(o)
			}
			if err := judgeKeys(r.Operations); (err == nil) != test.right {
				t.Errorf("the judge found: %v", err)
			}
		})
	}
}

func TestDrawShowsTheOperations(t *testing.T) {
	r := story()
	r.then(Operation{Range: kv.Key("/a"), Revision: 2, Entries: []kv.Entry{entry("/a", "1", 2, 2, 1)}})
	var page strings.Builder
	if err := r.Draw(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<html", "put /a=2 if at 2: done at 3"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the picture does not contain %q", want)
		}
	}
}
