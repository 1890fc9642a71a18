package history

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/watchkv/watchkv/kv"
)

// step is the part of an operation that concerns one key, in the form for porcupine.
type step struct {
	op    Operation
	key   string
	write *kv.Op   // nil in a read
	found kv.Entry // by a read; zero where the key did not exist
}

// register is the state of one key in the model for porcupine.
type register struct {
	value   string
	create  kv.Revision
	mod     kv.Revision
	version int64       // zero where the key does not exist
	changed kv.Revision // when it was last put or deleted
}

// model is a key that is put, deleted and read, one operation at a time. Revisions always rise.
var model = porcupine.Model{
	Partition: partition,
	Init:      func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		ok, next := state.(register).after(input.(step))
		return ok, next
	},
	DescribeOperation: func(input, _ any) string { return input.(step).op.String() },
	DescribeState: func(state any) string {
		r := state.(register)
		return fmt.Sprintf("%q created at %d, put at %d, version %d", r.value, r.create, r.mod, r.version)
	},
}

// after reports whether s can happen to a key in state r, and returns the state after it.
func (r register) after(s step) (bool, register) {
	rev := s.op.Revision
	switch {
	case s.write == nil:
		read := register{
			value: string(s.found.Value), create: s.found.CreateRevision, mod: s.found.ModRevision,
			version: s.found.Version, changed: r.changed,
		}
		return read == r && rev >= r.changed, r
	case s.op.Outcome == Conflict:
		return !holds(*s.write, r.mod), r
	case s.op.Outcome == Unknown: // a deletion that happens now unless it has happened, or never does
		if r.version > 0 && rev > r.changed && holds(*s.write, r.mod) {
			return true, register{changed: rev}
		}
		return true, r
	case !holds(*s.write, r.mod):
		return false, r
	case s.write.Type == kv.EventPut:
		next := register{value: string(s.write.Value), create: r.create, mod: rev, version: r.version + 1, changed: rev}
		if r.version == 0 {
			next.create = rev
		}
		return rev > r.changed, next
	case r.version == 0: // there is nothing to delete
		return rev >= r.changed, r
	default:
		return rev > r.changed, register{changed: rev}
	}
}

// partition splits a history of whole operations by key. A refused commit of several keys says nothing about any one of the keys.
func partition(history []porcupine.Operation) [][]porcupine.Operation {
	keys := make(map[string]bool)
	for _, p := range history {
		o := p.Input.(step).op
		for _, w := range o.Writes {
			keys[w.Key] = true
		}
		for _, e := range o.Entries {
			keys[e.Key] = true
		}
	}
	var parts [][]porcupine.Operation
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		var part []porcupine.Operation
		for _, p := range history {
			o := p.Input.(step).op
			s := step{op: o, key: key}
			if w, ok := o.written(key); ok && (o.Outcome != Conflict || len(o.Writes) == 1) {
				s.write = &w
			} else if o.IsRead() && o.Range.Contains(key) {
				s.found, _ = o.found(key)
			} else {
				continue
			}
			p.Input = s
			part = append(part, p)
		}
		parts = append(parts, part)
	}
	return parts
}

// forPorcupine returns operations in the form for porcupine.
func forPorcupine(ops []Operation) []porcupine.Operation {
	history := make([]porcupine.Operation, 0, len(ops))
	for _, o := range ops {
		history = append(history, porcupine.Operation{
			ClientId: o.Client, Input: step{op: o}, Call: int64(o.Call), Return: int64(o.Return),
		})
	}
	return history
}

// patience bounds the time of porcupine for a history. With revisions there are few orders to try.
const patience = time.Minute

// judgeKeys lets porcupine check the operations on each key.
func judgeKeys(ops []Operation) error {
	switch porcupine.CheckOperationsTimeout(model, forPorcupine(ops), patience) {
	case porcupine.Ok:
		return nil
	case porcupine.Illegal:
		return violation(ErrLinearizable, "porcupine finds no order of the operations that explains their answers")
	default:
		return fmt.Errorf("porcupine has not come to a judgement in %v", patience)
	}
}

// Draw writes porcupine's picture of r, a page of HTML. It shows what is known of what happened.
func (r Run) Draw(w io.Writer) error {
	ops, err := r.judgeWrites()
	if err != nil {
		ops = slices.DeleteFunc(slices.Clone(r.Operations), func(o Operation) bool { return o.Outcome == Unknown })
	}
	_, info := porcupine.CheckOperationsVerbose(model, forPorcupine(ops), patience)
	return porcupine.Visualize(model, info, w)
}
