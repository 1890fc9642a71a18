package suite

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchkv/watchkv/kv"
)

// Concurrent writers enter their writes in any order, and a check asks at any moment.
func TestALedgerGivesTheSameAnswersHoweverItIsFilled(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		asked := new(ledger)
		for i, at := range r.Perm(12) {
			rev := kv.Revision(at + 1)
			asked.add(rev, opsAt(rev)...)
			if r.IntN(2) == 0 {
				asked.EntriesAt(kv.All(), rev)
			}
			if i == 8 && r.IntN(2) == 0 {
				asked.Forget(6)
			}
		}
		fresh := new(ledger)
		for rev := kv.Revision(1); rev <= 12; rev++ {
			for _, c := range asked.changes {
				if c.rev == rev {
					fresh.add(rev, opsAt(rev)...)
				}
			}
		}
		for rev := kv.Revision(0); rev <= 13; rev++ {
			for _, keys := range []kv.Range{kv.All(), kv.Key("1")} {
				if diff := cmp.Diff(fresh.EntriesAt(keys, rev), asked.EntriesAt(keys, rev)); diff != "" {
					t.Fatalf("seed %d: the entries of %s at revision %d (-in order +as entered):\n%s", seed, keys, rev, diff)
				}
				if diff := cmp.Diff(fresh.EventsAfter(keys, rev), asked.EventsAfter(keys, rev)); diff != "" {
					t.Fatalf("seed %d: the events of %s after revision %d (-in order +as entered):\n%s", seed, keys, rev, diff)
				}
			}
		}
	}
}

// opsAt are puts and deletions of a few keys, different ones at each revision.
func opsAt(rev kv.Revision) []kv.Op {
	put := kv.PutOp(fmt.Sprint(rev%3), fmt.Append(nil, rev))
	if rev%4 == 3 {
		return []kv.Op{put, kv.DeleteOp(fmt.Sprint((rev + 1) % 3))}
	}
	return []kv.Op{put}
}
