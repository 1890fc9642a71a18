package value_test

import (
	"net/netip"
	"testing"

	"github.com/watchkv/watchkv/value"
)

func TestCodecsDecodeWhatTheyEncode(t *testing.T) {
	wantRoundTrip(t, value.JSONCodec[Limits](), Limits{RPS: 7}, `{"RPS":7}`)
	wantRoundTrip(t, value.TextCodec[netip.Addr](), netip.MustParseAddr("::1"), "::1")
	wantRoundTrip(t, value.StringCodec(), "a\xff\x00", "a\xff\x00")
	b := value.BytesCodec()
	encoded, _ := b.Encode([]byte("a\xff"))
	if got, err := b.Decode(encoded); string(got) != "a\xff" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func wantRoundTrip[T comparable](t *testing.T, c value.Codec[T], v T, want string) {
	t.Helper()
	b, err := c.Encode(v)
	if err != nil || string(b) != want {
		t.Errorf("%v is encoded as %q, %v; want %q", v, b, err, want)
	}
	if got, err := c.Decode(b); err != nil || got != v {
		t.Errorf("%q is decoded as %v, %v; want %v", b, got, err, v)
	}
}
