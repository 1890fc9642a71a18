package server

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// writes are the keys that the operations of one branch put and delete.
type writes struct {
	puts    map[string]bool
	deletes []mvcc.Range
}

// writesOf returns what ops write, or an error if two of them write the same key. This is etcd's own check, which does not find
// everything: a deletion in an inner transaction may follow a put in an earlier one, and a deletion without an end overlaps with nothing.
func writesOf(ops []*pb.RequestOp) (writes, error) {
	w := writes{puts: make(map[string]bool)}
	for _, op := range ops {
		if d := op.GetRequestDeleteRange(); d != nil {
			w.deletes = append(w.deletes, deletedKeys(d))
		}
	}
	for _, op := range ops {
		if txn := op.GetRequestTxn(); txn != nil {
			if err := w.addTxn(txn); err != nil {
				return writes{}, err
			}
		}
	}
	for _, op := range ops {
		if p := op.GetRequestPut(); p != nil {
			if err := w.put(string(p.Key)); err != nil {
				return writes{}, err
			}
		}
	}
	return w, nil
}

// addTxn adds what both branches of txn write. Only one of them will be done, so both may put the same key.
func (w *writes) addTxn(txn *pb.TxnRequest) error {
	success, err := writesOf(txn.Success)
	if err != nil {
		return err
	}
	failure, err := writesOf(txn.Failure)
	if err != nil {
		return err
	}
	for key := range success.puts {
		if err := w.put(key); err != nil {
			return err
		}
	}
	for key := range failure.puts {
		if success.puts[key] {
			continue
		}
		if err := w.put(key); err != nil {
			return err
		}
	}
	w.deletes = append(append(w.deletes, success.deletes...), failure.deletes...)
	return nil
}

// put adds a put of key.
func (w *writes) put(key string) error {
	if w.puts[key] {
		return rpctypes.ErrGRPCDuplicateKey
	}
	for _, r := range w.deletes {
		if r.Contains(key) {
			return rpctypes.ErrGRPCDuplicateKey
		}
	}
	w.puts[key] = true
	return nil
}

// deletedKeys returns the keys of d as etcd understands them when it looks for overlaps: the end that means "no end" is
// taken as the key it is, which is before all others.
func deletedKeys(d *pb.DeleteRangeRequest) mvcc.Range {
	if len(d.RangeEnd) == 0 {
		return mvcc.Key(string(d.Key))
	}
	return mvcc.Interval(string(d.Key), string(d.RangeEnd))
}
