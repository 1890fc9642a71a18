package bench

import (
	"context"
	"errors"
	"sync"

	"github.com/cilium/statedb"
	"github.com/cilium/statedb/index"
	"github.com/hashicorp/go-memdb"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/memory"
)

// database is a store in memory: kv/memory, or one that it is compared with.
type database interface {
	by() string
	put(key string) error
	get(key string) (value []byte)
	// follow calls got with each value of key, until ctx ends.
	follow(ctx context.Context, key string, got func())
}

// databases make a new store for each benchmark.
var databases = []func() database{newMemory, newStateDB, newMemDB}

// following is n goroutines that follow one key of a database.
func following(db database) system {
	return system{
		by:  db.by(),
		put: db.put,
		follow: func(ctx context.Context, running *sync.WaitGroup, key string, n int, got func()) {
			for range n {
				running.Go(func() { db.follow(ctx, key, got) })
			}
		},
	}
}

// memoryDB is our own, without a Value.
type memoryDB struct{ store *memory.Store }

// The others keep no history at all.
func newMemory() database { return memoryDB{memory.New(memory.WithHistory(1000))} }

func (memoryDB) by() string { return "watchkv" }

func (m memoryDB) put(key string) error {
	_, err := m.store.Put(context.Background(), key, payload)
	return err
}

func (m memoryDB) get(key string) []byte {
	e, err := kv.GetKey(context.Background(), m.store, key)
	check(context.Background(), err)
	return e.Value
}

func (m memoryDB) follow(ctx context.Context, key string, got func()) {
	r, last := kv.Key(key), kv.Revision(0)
	for ctx.Err() == nil {
		now, err := m.store.Get(ctx, r)
		check(ctx, err)
		if len(now.Entries) > 0 && now.Entries[0].ModRevision > last {
			last = now.Entries[0].ModRevision
			got()
		}
		for b, err := range m.store.Watch(ctx, r, now.Revision) {
			if errors.Is(err, kv.ErrCompacted) {
				break // before it began: history is short here
			}
			check(ctx, err)
			for _, e := range b.Events {
				last = e.ModRevision
				got()
			}
		}
	}
}

// row is an entry of statedb or memdb, which hold pointers to what must not be changed.
type row struct {
	Key   string
	Value []byte
}

func newRow(key string) *row { return &row{key, append([]byte(nil), payload...)} }

// stateDB is cilium's.
type stateDB struct {
	db    *statedb.DB
	table statedb.RWTable[*row]
}

var byKey = statedb.Index[*row, string]{
	Name:       "key",
	FromObject: func(r *row) index.KeySet { return index.NewKeySet(index.String(r.Key)) },
	FromKey:    index.String,
	Unique:     true,
}

func newStateDB() database {
	db := statedb.New()
	table, err := statedb.NewTableAny(db, "rows", func() []string { return []string{"Key"} },
		func(r *row) []string { return []string{r.Key} }, byKey)
	check(context.Background(), err)
	return stateDB{db, table}
}

func (stateDB) by() string { return "statedb" }

func (s stateDB) put(key string) error {
	txn := s.db.WriteTxn(s.table)
	defer txn.Abort()
	if _, _, err := s.table.Insert(txn, newRow(key)); err != nil {
		return err
	}
	txn.Commit()
	return nil
}

func (s stateDB) get(key string) []byte {
	r, _, _ := s.table.Get(s.db.ReadTxn(), byKey.Query(key))
	return r.Value
}

func (s stateDB) follow(ctx context.Context, key string, got func()) {
	var last *row
	for {
		r, _, changed, ok := s.table.GetWatch(s.db.ReadTxn(), byKey.Query(key))
		if ok && r != last {
			last = r
			got()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// memDB is hashicorp's.
type memDB struct{ db *memdb.MemDB }

func newMemDB() database {
	db, err := memdb.NewMemDB(&memdb.DBSchema{Tables: map[string]*memdb.TableSchema{"rows": {
		Name: "rows",
		Indexes: map[string]*memdb.IndexSchema{
			"id": {Name: "id", Unique: true, Indexer: &memdb.StringFieldIndex{Field: "Key"}},
		},
	}}})
	check(context.Background(), err)
	return memDB{db}
}

func (memDB) by() string { return "memdb" }

func (m memDB) put(key string) error {
	txn := m.db.Txn(true)
	defer txn.Abort()
	if err := txn.Insert("rows", newRow(key)); err != nil {
		return err
	}
	txn.Commit()
	return nil
}

func (m memDB) get(key string) []byte {
	r, err := m.db.Txn(false).First("rows", "id", key)
	check(context.Background(), err)
	return r.(*row).Value
}

func (m memDB) follow(ctx context.Context, key string, got func()) {
	var last any
	for {
		changed, r, err := m.db.Txn(false).FirstWatch("rows", "id", key)
		check(ctx, err)
		if r != nil && r != last {
			last = r
			got()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
