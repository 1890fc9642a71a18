package contents

import "github.com/watchkv/watchkv/kv"

// Part is an interval of keys: from From on, and before To if it is Bounded.
type Part struct {
	From, To string
	Bounded  bool
}

// In is the part that is in r: nothing for a range that is not valid.
func In(r kv.Range) Part {
	if r.Validate() != nil {
		return Part{Bounded: true}
	}
	from, to, bounded := r.Bounds()
	return Part{from, to, bounded}
}

// And is what is in both p and q, which may be nothing.
func (p Part) And(q Part) Part {
	p.From = max(p.From, q.From)
	if q.Bounded && (!p.Bounded || q.To < p.To) {
		p.To, p.Bounded = q.To, true
	}
	return p
}

// Contains reports whether key is in p.
func (p Part) Contains(key string) bool { return key >= p.From && (!p.Bounded || key < p.To) }
