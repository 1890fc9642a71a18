package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
	"github.com/watchkv/watchkv/kv/etcd/etcdmem"
	"github.com/watchkv/watchkv/kv/etcd/etcdtest"
)

func TestWatchAfterAGetMissesNothing(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		must(store.Put(ctx, "k", []byte("0")))(t)
		snapshot := must(store.Get(ctx, kv.Key("k")))(t)
		for i := range 10 {
			must(store.Put(ctx, "k", fmt.Append(nil, i+1)))(t)
		}
		must(store.Delete(ctx, "k"))(t)
		r := read(t, store.Watch(ctx, kv.Key("k"), snapshot.Revision))
		for seen := 0; seen < 11; {
			for _, e := range r.batch().Events {
				seen++
				if e.ModRevision != snapshot.Revision+kv.Revision(seen) {
					t.Fatalf("event %d has revision %d, after %d", seen, e.ModRevision, snapshot.Revision)
				}
				if seen == 11 {
					if e.Type != kv.EventDelete || e.Key != "k" || e.Value != nil || e.CreateRevision != 0 || e.Version != 0 {
						t.Errorf("the last event is %+v, want the bare deletion of k", e)
					}
				} else if e.Type != kv.EventPut || string(e.Value) != fmt.Sprint(seen) || e.Version != int64(seen)+1 ||
					e.CreateRevision != snapshot.Entries[0].CreateRevision {
					t.Errorf("event %d is %+v", seen, e)
				}
			}
		}
	})
}

func TestGetReadsALargeRangeInPagesAtOneRevision(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		client := cluster.Client()
		const keys = 25
		plain := etcd.New(client)
		for i := range keys {
			must(plain.Put(ctx, fmt.Sprintf("/k/%02d", i), []byte("old")))(t)
		}
		before := must(plain.Get(ctx, kv.Prefix("/k/")))(t)
		// Between two pages, every key changes, one key is deleted and one is created.
		pages := 0
		paged := etcd.New(&hookedClient{Client: client, beforeGet: func() {
			if pages++; pages != 2 {
				return
			}
			for i := range keys {
				must(plain.Put(ctx, fmt.Sprintf("/k/%02d", i), []byte("new")))(t)
			}
			must(plain.Delete(ctx, "/k/20"))(t)
			must(plain.Put(ctx, "/k/99", nil))(t)
		}}, etcd.WithPageSize(10))
		got := must(paged.Get(ctx, kv.Prefix("/k/")))(t)
		if pages != 3 {
			t.Errorf("%d requests were made, want 3", pages)
		}
		if got.Revision != before.Revision || fmt.Sprint(got) != fmt.Sprint(before) {
			t.Errorf("got\n%v\nwant what the store held when the read began:\n%v", got, before)
		}
	})
}

func TestGetStartsAgainWhenItsRevisionIsCompacted(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		client := cluster.Client()
		plain := etcd.New(client)
		for i := range 25 {
			must(plain.Put(ctx, fmt.Sprintf("/k/%02d", i), []byte("old")))(t)
		}
		requests := 0
		paged := etcd.New(&hookedClient{Client: client, beforeGet: func() {
			if requests++; requests == 2 {
				rev := must(plain.Put(ctx, "/k/24", []byte("new")))(t)
				if err := cluster.Compact(ctx, int64(rev)); err != nil {
					t.Fatal(err)
				}
			}
		}}, etcd.WithPageSize(10))
		got := must(paged.Get(ctx, kv.Prefix("/k/")))(t)
		if len(got.Entries) != 25 || string(got.Entries[24].Value) != "new" || got.Entries[24].ModRevision != got.Revision {
			t.Errorf("got %v, want all 25 entries as they were after the compaction", got)
		}
	})
}

func TestGetGivesUpIfEachRevisionIsCompacted(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		client := cluster.Client()
		plain := etcd.New(client)
		for i := range 3 {
			must(plain.Put(ctx, fmt.Sprintf("/k/%02d", i), nil))(t)
		}
		var requests int
		paged := etcd.New(&hookedClient{Client: client, beforeGet: func() {
			if requests++; requests%2 == 0 {
				rev := must(plain.Put(ctx, "/k/24", nil))(t)
				if err := cluster.Compact(ctx, int64(rev)); err != nil {
					t.Fatal(err)
				}
			}
		}}, etcd.WithPageSize(2))
		if _, err := paged.Get(ctx, kv.Prefix("/k/")); !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, kv.ErrUnavailable)
		}
	})
}

// A client may be configured with a limit for the size of a message.
func TestGetRequestsSmallerPagesWhereLargePagesDoNotFit(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		config := cluster.ClientConfig()
		config.MaxCallSendMsgSize = 64 << 10
		config.MaxCallRecvMsgSize = 64 << 10
		client := must(clientv3.New(config))(t)
		defer client.Close()
		store := etcd.New(client)
		for i := range 40 {
			must(store.Put(ctx, fmt.Sprintf("/k/%02d", i), make([]byte, 10<<10)))(t)
		}
		if got := must(store.Get(ctx, kv.All()))(t); len(got.Entries) != 40 {
			t.Errorf("got %d entries, want 40", len(got.Entries))
		}
		must(etcd.New(cluster.Client()).Put(ctx, "/k/99", make([]byte, 100<<10)))(t)
		if _, err := store.Get(ctx, kv.All()); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("with an entry that fits into no message: %v, want %v", err, kv.ErrTooLarge)
		}
		if _, err := store.Put(ctx, "k", make([]byte, 100<<10)); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("a put that fits into no message: %v, want %v", err, kv.ErrTooLarge)
		}
	})
}

// hookedClient calls beforeGet before each request to read.
type hookedClient struct {
	*clientv3.Client
	beforeGet func()
}

func (c *hookedClient) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	c.beforeGet()
	return c.Client.Get(ctx, key, opts...)
}

func TestEveryKindOfRangeHasTheSameKeysForReadsAndWatches(t *testing.T) {
	keys := []string{"\x00", "\x00\x00", "a", "a/", "a/b", "a0", "b", "\xfe", "\xff", "\xff\x00", "\xff\xff", "\xff\xffz"}
	ranges := []kv.Range{
		kv.Key("a"), kv.Key("\x00"), kv.Key("none"), kv.Prefix("a"), kv.Prefix("a/"), kv.Prefix("\xff"), kv.Prefix("\xff\xff"),
		kv.Prefix("\x00"), kv.Prefix(""), kv.All(), kv.Interval("a", "a0"), kv.Interval("", "a"), kv.Interval("", "\x00"),
		kv.Interval("\x00", "\x00\x00"), kv.Interval("a/b", "\xff"), kv.Interval("b", "\xff\xff\xff"),
	}
	for name, in := range map[string]func(*clientv3.Client) etcd.Client{
		"plain":     func(c *clientv3.Client) etcd.Client { return c },
		"namespace": func(c *clientv3.Client) etcd.Client { return namespaced(c, "/space/") },
		"last keys": func(c *clientv3.Client) etcd.Client { return namespaced(c, "\xff\xff") },
	} {
		t.Run(name, func(t *testing.T) {
			onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
				ctx := within(t, patience)
				store := etcd.New(in(cluster.Client()), etcd.WithPageSize(2))
				for _, key := range keys {
					must(store.Put(ctx, key, []byte("v")))(t)
				}
				first := must(store.Get(ctx, kv.Key(keys[0])))(t).Entries[0].ModRevision
				for _, r := range ranges {
					var want, got, seen []string
					for _, key := range keys {
						if r.Contains(key) {
							want = append(want, key)
						}
					}
					entries := must(store.Get(ctx, r))(t).Entries
					for _, e := range entries {
						got = append(got, e.Key)
					}
					if len(want) == 0 && entries != nil {
						t.Errorf("get %v, which holds no key: the entries are empty, want nil", r)
					}
					if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
						t.Errorf("get %v: %q, want %q", r, got, want)
					}
					if len(want) == 0 {
						continue
					}
					w := read(t, store.Watch(ctx, r, first-1))
					for len(seen) < len(want) {
						for _, e := range w.batch().Events {
							seen = append(seen, e.Key)
						}
					}
					w.stop()
					if fmt.Sprintf("%q", seen) != fmt.Sprintf("%q", want) {
						t.Errorf("watch %v: %q, want %q", r, seen, want)
					}
				}
			})
		})
	}
}

func TestWritesAreConditionalAndAtomic(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		get := func(key string) kv.Entry { t.Helper(); e, _ := kv.GetKey(ctx, store, key); return e }
		conflict := func(rev kv.Revision, err error) {
			t.Helper()
			if !errors.Is(err, kv.ErrConflict) {
				t.Errorf("%d, %v, want %v", rev, err, kv.ErrConflict)
			}
		}
		first := must(store.Put(ctx, "k", []byte("1"), kv.IfAbsent()))(t)
		if e := get("k"); e.ModRevision != first || e.CreateRevision != first || e.Version != 1 {
			t.Errorf("after the first put at %d: %+v", first, e)
		}
		conflict(store.Put(ctx, "k", nil, kv.IfAbsent()))
		conflict(store.Put(ctx, "k", nil, kv.IfRevision(first+1)))
		conflict(store.Put(ctx, "k", nil, kv.IfRevision(first), kv.IfAbsent()))
		conflict(store.Delete(ctx, "k", kv.IfRevision(first-1)))
		conflict(store.Commit(ctx, kv.PutOp("a", nil), kv.DeleteOp("k", kv.IfAbsent())))
		if e := get("k"); string(e.Value) != "1" || get("a").Key != "" {
			t.Errorf("a conflict wrote: %+v, %+v", e, get("a"))
		}
		second := must(store.Put(ctx, "k", []byte("2"), kv.IfRevision(first), kv.Condition{}))(t)
		if second != first+1 {
			t.Errorf("the second put is at %d, the first at %d", second, first)
		}
		third := must(store.Commit(ctx, kv.PutOp("a", []byte("a"), kv.IfAbsent()), kv.DeleteOp("k", kv.IfRevision(second))))(t)
		if third != second+1 || get("a").ModRevision != third || get("k").Key != "" {
			t.Errorf("commit at %d after %d: %+v, %+v", third, second, get("a"), get("k"))
		}
		// A write that changes nothing makes no revision.
		for name, rev := range map[string]kv.Revision{
			"delete":             must(store.Delete(ctx, "none"))(t),
			"conditional delete": must(store.Delete(ctx, "none", kv.IfAbsent()))(t),
			"commit of nothing":  must(store.Commit(ctx))(t),
			"commit of absences": must(store.Commit(ctx, kv.DeleteOp("n"), kv.DeleteOp("m")))(t),
		} {
			if rev != third {
				t.Errorf("%s: revision %d, want the store's, %d", name, rev, third)
			}
		}
	})
}

func TestInvalidWritesAreRefused(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		many := make([]kv.Op, 200)
		for i := range many {
			many[i] = kv.PutOp(fmt.Sprint(i), nil)
		}
		large := make([]byte, 2<<20)
		for name, test := range map[string]struct {
			write func() (kv.Revision, error)
			want  error
		}{
			"put of the empty key":    {func() (kv.Revision, error) { return store.Put(ctx, "", nil) }, kv.ErrInvalidKey},
			"delete of the empty key": {func() (kv.Revision, error) { return store.Delete(ctx, "") }, kv.ErrInvalidKey},
			"commit of the empty key": {func() (kv.Revision, error) { return store.Commit(ctx, kv.PutOp("", nil)) }, kv.ErrInvalidKey},
			"put twice": {func() (kv.Revision, error) {
				return store.Commit(ctx, kv.PutOp("k", nil), kv.PutOp("k", nil))
			}, kv.ErrInvalidKey},
			"delete twice": {func() (kv.Revision, error) {
				return store.Commit(ctx, kv.DeleteOp("k"), kv.DeleteOp("k"))
			}, kv.ErrInvalidKey},
			"neither put nor delete":    {func() (kv.Revision, error) { return store.Commit(ctx, kv.Op{Type: 7, Key: "k"}) }, kv.ErrUnsupported},
			"too many ops":              {func() (kv.Revision, error) { return store.Commit(ctx, many...) }, kv.ErrTooLarge},
			"a value too large":         {func() (kv.Revision, error) { return store.Put(ctx, "k", large[:1700<<10]) }, kv.ErrTooLarge},
			"a value too large to send": {func() (kv.Revision, error) { return store.Put(ctx, "k", large) }, kv.ErrTooLarge},
			"a key too large":           {func() (kv.Revision, error) { return store.Put(ctx, string(large), nil) }, kv.ErrTooLarge},
			"a deleted key too large":   {func() (kv.Revision, error) { return store.Delete(ctx, string(large)) }, kv.ErrTooLarge},
		} {
			_, err := test.write()
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("%s: the message is %d bytes long", name, len(err.Error()))
			}
			var op *kv.OpError
			if !errors.As(err, &op) || op.Store != "kv/etcd" {
				t.Errorf("%s: %#v is no OpError of kv/etcd", name, err)
			}
		}
		if got := must(store.Get(ctx, kv.All()))(t); len(got.Entries) != 0 {
			t.Errorf("there is now %v", got)
		}
	})
}

func TestAFullDatabaseAcceptsOnlyDeletions(t *testing.T) {
	leaktest.Check(t)
	ctx := within(t, patience)
	store := etcd.New(etcdtest.Start(t, 1, etcdtest.WithConfig(func(_ int, config *embed.Config) {
		config.QuotaBackendBytes = 4 << 20
	})).Client())
	must(store.Put(ctx, "k", nil))(t)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = store.Put(ctx, fmt.Sprint(i), make([]byte, 1<<20))
	}
	checkError(t, "a put", err, kv.ErrUnavailable, rpctypes.ErrNoSpace)
	if rev := must(store.Delete(ctx, "k"))(t); must(store.Get(ctx, kv.All()))(t).Revision != rev {
		t.Errorf("the deletion at %d is not the last change", rev)
	}
}

// The request for such a watch fits into no message. etcd's client would end the stream of that request, and all watches on it.
func TestAWatchOfATooLargeKeyEndsNoOtherWatch(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		rev := must(store.Put(ctx, "k", nil))(t)
		other := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
		other.batch()
		large := strings.Repeat("k", 3<<20)
		for _, r := range []kv.Range{kv.Key(large), kv.Prefix(large), kv.Interval("k", large)} {
			_, err := read(t, store.Watch(ctx, r, rev)).end(kv.ErrTooLarge)
			if len(err.Error()) > 2000 {
				t.Errorf("the message of a watch is %d bytes long", len(err.Error()))
			}
			_, err = store.Get(ctx, r)
			if !errors.Is(err, kv.ErrTooLarge) || len(err.Error()) > 2000 {
				t.Errorf("a get gives an error of %d bytes, which matches %v: %t", len(err.Error()), kv.ErrTooLarge, errors.Is(err, kv.ErrTooLarge))
			}
			rev = must(store.Put(ctx, "k", nil))(t)
			other.nextIs(rev)
		}
		// A key that is long, but not too large, is watched like any other.
		long := strings.Repeat("k", 100<<10)
		w := read(t, store.Watch(ctx, kv.Key(long), rev))
		rev = must(store.Put(ctx, long, nil))(t)
		w.nextIs(rev)
	})
}

func TestBytesBelongToTheCaller(t *testing.T) {
	onCluster(t, 1, func(t *testing.T, cluster etcdmem.AnyCluster) {
		ctx := within(t, patience)
		store := etcd.New(cluster.Client())
		given := []byte("value")
		rev := must(store.Put(ctx, "k", given))(t)
		copy(given, "XXXXX")
		for range 2 {
			got := must(store.Get(ctx, kv.Key("k")))(t).Entries[0].Value
			if !bytes.Equal(got, []byte("value")) {
				t.Errorf("got %q", got)
			}
			copy(got, "YYYYY")
			r := read(t, store.Watch(ctx, kv.Key("k"), rev-1))
			value := r.batch().Events[0].Value
			if !bytes.Equal(value, []byte("value")) {
				t.Errorf("watched %q", value)
			}
			copy(value, "ZZZZZ")
			r.stop()
		}
	})
}

func TestMessagesNameOperationAndKey(t *testing.T) {
	store := etcd.New(nil, nil) // a nil option is ignored
	ctx := context.Background()
	_, get := store.Get(ctx, kv.Prefix("/p/"))
	_, put := store.Put(ctx, "/k", nil)
	_, del := store.Delete(ctx, "/k")
	_, commit := store.Commit(ctx, kv.PutOp("/a", nil), kv.PutOp("/b", nil), kv.DeleteOp("/c"))
	_, nothing := store.Commit(ctx)
	var watch error
	for _, watch = range store.Watch(ctx, kv.Key("/k"), 812) {
	}
	for want, err := range map[string]error{
		`kv/etcd: get "/p/"*: `:             get,
		`kv/etcd: put "/k": `:               put,
		`kv/etcd: delete "/k": `:            del,
		`kv/etcd: commit "/a" and 2 more: `: commit,
		`kv/etcd: commit nothing: `:         nothing,
		`kv/etcd: watch "/k" after 812: `:   watch,
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "nil client") {
			t.Errorf("got %v, want %s...nil client", err, want)
		}
		if !errors.Is(err, kv.ErrClosed) {
			t.Errorf("%v does not match %v", err, kv.ErrClosed)
		}
	}
}
