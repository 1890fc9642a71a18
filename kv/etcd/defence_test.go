package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/internal/leaktest"
	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/etcd"
)

// Each row has responses that etcd should not send, and what a watch does with them.
func TestWatchDetectsIncorrectResponses(t *testing.T) {
	other := func(r clientv3.WatchResponse) clientv3.WatchResponse {
		r.Header.ClusterId = 2
		return r
	}
	term := func(r clientv3.WatchResponse, member, term uint64) clientv3.WatchResponse {
		r.Header.MemberId, r.Header.RaftTerm = member, term
		return r
	}
	at := func(r clientv3.WatchResponse, rev int64) clientv3.WatchResponse {
		r.Header.Revision = rev
		return r
	}
	for _, test := range []struct {
		name      string
		responses []clientv3.WatchResponse
		want      []string // what a watch of "k" after 10 yields
		err       error
	}{
		{
			name:      "the revision of a batch is its last event's, not the header's",
			responses: []clientv3.WatchResponse{changed("k", 11, 12)},
			want:      []string{"12: 11 12"},
		},
		{
			name:      "events at or below after are dropped",
			responses: []clientv3.WatchResponse{changed("k", 9, 10), changed("k", 10, 11)},
			want:      []string{"11: 11"},
		},
		{
			name:      "events outside the range are dropped",
			responses: []clientv3.WatchResponse{changed("kk", 11), changed("j", 12), changed("k", 13)},
			want:      []string{"13: 13"},
		},
		{
			name:      "a repetition of the last revision is dropped",
			responses: []clientv3.WatchResponse{changed("k", 11), changed("k", 11), changed("k", 11, 12)},
			want:      []string{"11: 11", "12: 12"},
		},
		{
			name:      "two events of one revision are one batch",
			responses: []clientv3.WatchResponse{changed("k", 11, 11, 12, 12)},
			want:      []string{"12: 11 11 12 12"},
		},
		{
			name:      "a progress notification is a bookmark",
			responses: []clientv3.WatchResponse{progress(10), changed("k", 11), progress(15), changed("k", 16)},
			want:      []string{"10:", "11: 11", "15:", "16: 16"},
		},
		{
			name:      "a progress notification from before the watch says nothing",
			responses: []clientv3.WatchResponse{progress(9), changed("k", 11)},
			want:      []string{"11: 11"},
		},
		{
			name:      "an event below the last one is a reset",
			responses: []clientv3.WatchResponse{changed("k", 15), changed("k", 14)},
			err:       kv.ErrReset,
		},
		{
			name:      "an event below the last one of its response is a reset",
			responses: []clientv3.WatchResponse{changed("k", 15, 14)},
			err:       kv.ErrReset,
		},
		{
			name:      "an event that a bookmark had passed is a reset",
			responses: []clientv3.WatchResponse{progress(15), changed("k", 15)},
			err:       kv.ErrReset,
		},
		{
			name:      "a bookmark below the last event is a reset",
			responses: []clientv3.WatchResponse{changed("k", 15), progress(14)},
			err:       kv.ErrReset,
		},
		{
			name:      "a header below the last event is a reset",
			responses: []clientv3.WatchResponse{changed("k", 15), at(changed("k", 16), 14)},
			err:       kv.ErrReset,
		},
		{
			name:      "another cluster is a reset",
			responses: []clientv3.WatchResponse{changed("k", 11), other(changed("k", 12))},
			err:       kv.ErrReset,
		},
		{
			name:      "a member whose term goes back is a reset",
			responses: []clientv3.WatchResponse{term(changed("k", 11), 7, 5), term(changed("k", 12), 7, 4)},
			err:       kv.ErrReset,
		},
		{
			name:      "a member whose term is behind another's lags",
			responses: []clientv3.WatchResponse{term(changed("k", 11), 7, 5), term(changed("k", 12), 8, 4)},
			want:      []string{"11: 11", "12: 12"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaktest.Check(t)
			s := newScript(test.responses...)
			s.end()
			store := etcd.New(&fake{watch: s.watch, get: answeredAt(func() int64 { return 1000 })})
			var got []string
			var err error
			for batch, e := range store.Watch(t.Context(), kv.Key("k"), 10) {
				if err = e; err != nil {
					break
				}
				text := fmt.Sprintf("%d:", batch.Revision)
				for _, e := range batch.Events {
					text += fmt.Sprintf(" %d", e.ModRevision)
				}
				got = append(got, text)
			}
			if test.err != nil {
				if !errors.Is(err, test.err) {
					t.Fatalf("the watch ended with %v after %q, want %v", err, got, test.err)
				}
				return
			}
			if !errors.Is(err, kv.ErrUnavailable) {
				t.Errorf("the watch ended with %v, want %v: its channel was closed", err, kv.ErrUnavailable)
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWatchRequestsTheOptionsItNeeds(t *testing.T) {
	leaktest.Check(t)
	s := newScript(changed("k", 11))
	store := etcd.New(&fake{watch: s.watch})
	for _, err := range store.Watch(t.Context(), kv.Prefix("k"), 10) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	op := s.opens[0]
	if op.Rev() != 11 || string(op.KeyBytes()) != "k" || string(op.RangeBytes()) != "l" {
		t.Errorf("watched %q to %q from %d, want k to l from 11", op.KeyBytes(), op.RangeBytes(), op.Rev())
	}
}

// The interval that ends before the first possible key is empty. Sent as it is, it would mean every key to etcd.
func TestAnEmptyIntervalIsNotSentAsTheWholeKeySpace(t *testing.T) {
	leaktest.Check(t)
	s := newScript(progress(11))
	var read clientv3.Op
	store := etcd.New(&fake{watch: s.watch, get: func(_ context.Context, op clientv3.Op) (*clientv3.GetResponse, error) {
		read = op
		return &clientv3.GetResponse{Header: header(10)}, nil
	}})
	if _, err := store.Get(t.Context(), kv.Interval("", "\x00")); err != nil {
		t.Fatal(err)
	}
	for range store.Watch(t.Context(), kv.Interval("", "\x00"), 10) {
		break
	}
	if len(read.RangeBytes()) != 0 || len(s.opens[0].RangeBytes()) != 0 {
		t.Errorf("the interval without keys was read up to %q and watched up to %q", read.RangeBytes(), s.opens[0].RangeBytes())
	}
}
