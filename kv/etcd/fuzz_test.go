package etcd

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/kv"
)

// FuzzBoundsAskForTheRange compares the range of a request to etcd with the Range that is meant. The request must cover every key of the
// Range. Contains filters out the keys that etcd returns beyond that.
func FuzzBoundsAskForTheRange(f *testing.F) {
	f.Add(uint8(0), "a", "", "a")
	f.Add(uint8(1), "a\xff", "", "b")
	f.Add(uint8(1), "\xff\xff", "", "\xff\xff\x00")
	f.Add(uint8(2), "", "\x00", "\x00")
	f.Add(uint8(2), "", "b", "\x00\x00")
	f.Add(uint8(3), "", "", "\xff")
	f.Fuzz(func(t *testing.T, kind uint8, a, b, key string) {
		r := []kv.Range{kv.Key(a), kv.Prefix(a), kv.Interval(a, b), kv.All()}[kind%4]
		if r.Validate() != nil || key == "" {
			return
		}
		from, end := bounds(r)
		if from == "" {
			t.Fatalf("the request for %v begins at the empty key, which etcd does not accept", r)
		}
		if end != "" && end != "\x00" && end <= from {
			t.Fatalf("the request for %v is %q to %q, which etcd refuses to watch", r, from, end)
		}
		given := key == from
		switch end {
		case "":
		case "\x00":
			given = key >= from
		default:
			given = from <= key && key < end
		}
		nothing := r == kv.Interval("", "\x00")
		if given != r.Contains(key) && !(nothing && key == from) {
			t.Errorf("the request for %v is %q to %q; does it return %q: %t", r, from, end, key, given)
		}
	})
}

// FuzzFlattenedErrorsAreTakenApart checks that the text of a gRPC error gives back the code and the message that it was made of.
func FuzzFlattenedErrorsAreTakenApart(f *testing.F) {
	f.Add(uint32(codes.PermissionDenied), "etcdserver: permission denied")
	f.Add(uint32(codes.Unknown), "")
	f.Add(uint32(codes.OutOfRange), "a desc = b")
	f.Add(uint32(codes.Unauthenticated), "rpc error: code = Canceled desc = x")
	f.Add(uint32(77), "no such code")
	f.Fuzz(func(t *testing.T, number uint32, words string) {
		code := codes.Code(number)
		if code < codes.Canceled || code > codes.Unauthenticated {
			code = codes.Unknown
		}
		flat := status.New(code, words).Err().Error()
		if gotCode, got := unflatten(codes.Unknown, flat); gotCode != code || got != words {
			t.Errorf("%q gives the code %v and the message %q", flat, gotCode, got)
		}
		if gotCode, got := unflatten(codes.Aborted, words); !strings.HasPrefix(words, "rpc error: ") && (gotCode != codes.Aborted || got != words) {
			t.Errorf("%q is not the text of a gRPC error, but gives the code %v and the message %q", words, gotCode, got)
		}
	})
}

// FuzzAnyErrorHasOneMeaning classifies errors with any text, as etcd or a proxy in front of it could send them.
func FuzzAnyErrorHasOneMeaning(f *testing.F) {
	f.Add(uint32(codes.OutOfRange), "etcdserver: mvcc: required revision has been compacted")
	f.Add(uint32(codes.ResourceExhausted), "grpc: received message larger than max (1 vs. 0)")
	f.Add(uint32(codes.Unavailable), "")
	f.Fuzz(func(t *testing.T, number uint32, words string) {
		err := status.New(codes.Code(number), words).Err()
		if err == nil {
			return
		}
		meaning := classify(err)
		if _, compacted := meaning.(*kv.CompactedError); compacted {
			return
		}
		switch meaning {
		case kv.ErrNotFound, kv.ErrInvalidKey, kv.ErrTooLarge, kv.ErrUnsupported, kv.ErrPermission, kv.ErrUnavailable, kv.ErrClosed:
		default:
			t.Errorf("%v means %v", err, meaning)
		}
	})
}
