package mutants

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/watchkv/watchkv/conformance/internal/values"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// valueMutants are wrong Values on a sound store, for what a store cannot break.
var valueMutants = []mutation{
	{guarantee: "V1", name: "answers-a-first-Get-from-what-it-knows", value: reading(func(r wrongReader, ctx context.Context, opts []value.GetOption[string]) (string, error) {
		if l, ok := r.of.Latest(); ok && r.Revision() == 0 {
			r.TryGet()
			return l.Value, nil
		}
		return r.Reader.Get(ctx, opts...)
	})},
	{guarantee: "V2", name: "returns-at-once-what-it-returned-before", value: reading(func(r wrongReader, ctx context.Context, opts []value.GetOption[string]) (string, error) {
		if l, ok := r.of.Latest(); ok && r.Revision() == l.Revision {
			return l.Value, nil
		}
		return r.Reader.Get(ctx, opts...)
	})},
	{guarantee: "V3", name: "queues-every-update-for-a-slow-reader", value: watching(func(v values.Live, opts []value.WatchOption) values.Reader {
		return v.Watch(append(opts, value.EveryUpdate())...)
	})},
	{guarantee: "V4", name: "skips-to-the-newest", value: watching(func(v values.Live, _ []value.WatchOption) values.Reader {
		return v.Watch()
	})},
	{guarantee: "V5", name: "takes-what-a-backup-holds-for-old-news", value: reading(func(r wrongReader, ctx context.Context, opts []value.GetOption[string]) (string, error) {
		before := r.Revision()
		got, err := r.Reader.Get(ctx, opts...)
		for err == nil && r.Revision() <= before {
			got, err = r.Reader.Get(ctx, opts...)
		}
		return got, err
	})},
	{guarantee: "V6", name: "forgets-deletions", value: reading(passingOver(func(err error) bool { return errors.Is(err, value.ErrDeleted) }))},
	{guarantee: "V7", name: "passes-over-bad-values", value: reading(passingOver(func(err error) bool {
		return errors.As(err, new(*value.DecodeError))
	}))},
	{guarantee: "V8", name: "loses-what-a-cancelled-Get-would-have-returned", value: reading(func(r wrongReader, ctx context.Context, opts []value.GetOption[string]) (string, error) {
		if *r.cancelled && ctx.Err() == nil {
			*r.cancelled = false
			r.Reader.Get(ctx, opts...)
		}
		got, err := r.Reader.Get(ctx, opts...)
		*r.cancelled = errors.Is(err, context.Canceled)
		return got, err
	})},
	{guarantee: "V9", name: "does-not-wake-a-Get-at-Close", value: watching(func(v values.Live, opts []value.WatchOption) values.Reader {
		return lateCloser{v.Watch(opts...)}
	})},
	{guarantee: "V10", name: "serves-two-Gets-in-turn", value: reading(func(r wrongReader, ctx context.Context, opts []value.GetOption[string]) (string, error) {
		r.turn.Lock()
		defer r.turn.Unlock()
		return r.Reader.Get(ctx, opts...)
	})},
	{guarantee: "V11", name: "says-that-the-store-is-unavailable", value: over(func(err error) error {
		if errors.Is(err, kv.ErrUnavailable) {
			return kv.ErrUnsupported // which is reported
		}
		return err
	}, nil)},
	{guarantee: "V12", name: "has-a-watch-for-each-watcher", value: func(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) values.Live {
		return wrongValue{values.Sound(s, key, decode, opts...), func(_ values.Live, watchOpts []value.WatchOption) values.Reader {
			return values.Sound(s, key, decode, opts...).Watch(watchOpts...)
		}}
	}},
	{guarantee: "V12", name: "reads-for-each-watcher-that-is-opened", value: func(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) values.Live {
		return wrongValue{values.Sound(s, key, decode, opts...), func(v values.Live, watchOpts []value.WatchOption) values.Reader {
			if v.Status().Watchers > 0 {
				kv.GetKey(context.Background(), s, key)
			}
			return v.Watch(watchOpts...)
		}}
	}},
	{guarantee: "V14", name: "keeps-the-first-Latest", value: func(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) values.Live {
		return &forgetful{Live: values.Sound(s, key, decode, opts...)}
	}},
	{guarantee: "V15", name: "does-not-heed-AtLeast", value: reading(func(r wrongReader, ctx context.Context, _ []value.GetOption[string]) (string, error) {
		return r.Reader.Get(ctx)
	})},
	{guarantee: "V16", name: "does-not-look-at-versions", value: over(nil, func(e *kv.Entry) { e.Version = 0 })},
}

// wrongValue is a Value with watchers of another kind.
type wrongValue struct {
	values.Live
	watch func(values.Live, []value.WatchOption) values.Reader
}

func (v wrongValue) Watch(opts ...value.WatchOption) values.Reader { return v.watch(v.Live, opts) }

func watching(watch func(values.Live, []value.WatchOption) values.Reader) values.NewValue {
	return func(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) values.Live {
		return wrongValue{values.Sound(s, key, decode, opts...), watch}
	}
}

// wrongReader is a watcher with another Get.
type wrongReader struct {
	values.Reader
	of        values.Live
	turn      *sync.Mutex
	cancelled *bool // the last Get was
	get       getFunc
}

type getFunc func(r wrongReader, ctx context.Context, opts []value.GetOption[string]) (string, error)

func (r wrongReader) Get(ctx context.Context, opts ...value.GetOption[string]) (string, error) {
	return r.get(r, ctx, opts)
}

func reading(get getFunc) values.NewValue {
	return watching(func(v values.Live, opts []value.WatchOption) values.Reader {
		return wrongReader{v.Watch(opts...), v, new(sync.Mutex), new(bool), get}
	})
}

// passingOver is a Get that returns no error of a kind.
func passingOver(kind func(error) bool) getFunc {
	return func(r wrongReader, ctx context.Context, opts []value.GetOption[string]) (string, error) {
		for {
			got, err := r.Reader.Get(ctx, opts...)
			if !kind(err) {
				return got, err
			}
		}
	}
}

// lateCloser closes when no caller waits for it any more.
type lateCloser struct{ values.Reader }

func (c lateCloser) Close() error {
	time.AfterFunc(2*patience, func() { c.Reader.Close() })
	return nil
}

// forgetful knows no Latest but the first.
type forgetful struct {
	values.Live
	mu    sync.Mutex
	first value.Reading[string]
	known bool
}

func (f *forgetful) Latest() (value.Reading[string], bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		f.first, f.known = f.Live.Latest()
	}
	return f.first, f.known
}

// over is a Value that misunderstands its store: its errors, or its entries.
func over(becomes func(error) error, change func(*kv.Entry)) values.NewValue {
	return func(s kv.Store, key string, decode func([]byte) (string, error), opts ...value.Option) values.Live {
		return values.Sound(misunderstood{s, becomes, change}, key, decode, opts...)
	}
}

type misunderstood struct {
	kv.Store
	becomes func(error) error
	change  func(*kv.Entry)
}

func (s misunderstood) Get(ctx context.Context, r kv.Range) (kv.Snapshot, error) {
	snapshot, err := s.Store.Get(ctx, r)
	if s.change != nil {
		for i := range snapshot.Entries {
			s.change(&snapshot.Entries[i])
		}
	}
	if err != nil && s.becomes != nil {
		err = s.becomes(err)
	}
	return snapshot, err
}

func (s misunderstood) Watch(ctx context.Context, r kv.Range, after kv.Revision) iter.Seq2[kv.Batch, error] {
	return func(yield func(kv.Batch, error) bool) {
		for b, err := range s.Store.Watch(ctx, r, after) {
			if s.change != nil {
				for i := range b.Events {
					s.change(&b.Events[i].Entry)
				}
			}
			if err != nil && s.becomes != nil {
				err = s.becomes(err)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}
