package backend_test

import (
	"testing"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/backend"
)

type (
	point     = backend.Point[string]
	histories = backend.Histories[string]
)

// found is an answer to a request that is sent now.
func found(h *histories, newest point, mark *string) int { return h.Found(h.Known(), newest, mark) }

func TestW13AReplacedHistoryIsDetected(t *testing.T) {
	other, same := "other", "c"
	for name, test := range map[string]struct {
		newest  point
		mark    *string // at revision 3
		history int
	}{
		"nothing new":                       {point{3, "c"}, &same, 0},
		"more":                              {point{5, "e"}, &same, 0},
		"more, and the old mark is unknown": {point{5, "e"}, nil, 0},
		"a revision that went back":         {point{2, "b"}, nil, 1},
		"another mark":                      {point{3, "other"}, nil, 1},
		"another mark further back":         {point{5, "e"}, &other, 1},
	} {
		var h histories
		found(&h, point{0, "zero"}, nil)
		zero := "zero"
		found(&h, point{3, "c"}, &zero)
		if got := found(&h, test.newest, test.mark); got != test.history || h.Current() != test.history {
			t.Errorf("%s: the answer is of history %d, and the current one is %d, want %d", name, got, h.Current(), test.history)
		}
	}
}

func TestW13AnEmptyStorageHasAMark(t *testing.T) {
	var h histories
	found(&h, point{0, "first"}, nil)
	if got := found(&h, point{0, "second"}, nil); got != 1 {
		t.Errorf("the storage was created again, and the answer is of history %d, want 1", got)
	}
}

func TestW13ALostRevisionThatWasOnlyReturnedIsDetected(t *testing.T) {
	var h histories
	found(&h, point{3, "c"}, nil)
	h.Return(0, 4) // by a write, whose answer has no mark
	if got := found(&h, point{3, "c"}, nil); got != 1 {
		t.Errorf("revision 4 was returned, the storage has gone back to 3, and the answer is of history %d, want 1", got)
	}
}

func TestW13AnAnswerWithoutTheMarkDoesNotHideAReplacement(t *testing.T) {
	var h histories
	found(&h, point{3, "c"}, nil)
	if got := found(&h, point{5, "other"}, nil); got != 0 {
		t.Errorf("a longer storage whose mark at revision 3 is unknown is of history %d, want 0", got)
	}
	other := "other"
	if got := found(&h, point{6, "other"}, &other); got != 1 {
		t.Errorf("the storage has another mark at revision 3, and is of history %d, want 1", got)
	}
}

func TestW13TheMarkOfAnAnswerIsCompared(t *testing.T) {
	var h histories
	found(&h, point{3, "c"}, nil)
	h.See(0, point{5, "e"})
	if known := h.Known(); known.Newest != (point{5, "e"}) || known.Reached != 5 {
		t.Errorf("after revision 5 came with the data, what is known is %+v", known)
	}
	h.See(0, point{4, "d"})
	if known := h.Known(); known.Newest != (point{5, "e"}) {
		t.Errorf("an older revision came later, and is compared from then on: %+v", known)
	}
}

func TestAnOvertakenAnswerIsNotTakenForAReplacement(t *testing.T) {
	var h histories
	before := h.Known()
	found(&h, point{5, "e"}, nil)
	if got := h.Found(before, point{3, "c"}, nil); got != 0 || h.Current() != 0 {
		t.Errorf("an answer that was sent before revision 5 was known is of history %d, want 0", got)
	}
}

func TestAReplacementThatTwoRequestsDetectCountsOnce(t *testing.T) {
	var h histories
	found(&h, point{5, "e"}, nil)
	before := h.Known()
	for range 2 {
		if got := h.Found(before, point{3, "other"}, nil); got != 1 || h.Current() != 1 {
			t.Errorf("the answer is of history %d, and the current one is %d, want 1", got, h.Current())
		}
	}
	if got := h.Found(before, point{6, "f"}, nil); got != 0 || h.Current() != 1 {
		t.Errorf("an answer from before the replacement is of history %d, and the current one is %d, want 0 and 1", got, h.Current())
	}
	if known := h.Known(); known.Reached != 3 {
		t.Errorf("an answer from before the replacement has the new history reach %d", known.Reached)
	}
}

func TestW13EachReturnedRevisionIsRememberedWithItsHistory(t *testing.T) {
	var h histories
	found(&h, point{10, "j"}, nil)
	h.Return(0, 8)
	h.Return(0, 10)
	found(&h, point{5, "e"}, nil)
	h.Return(1, 5)
	for rev, want := range map[kv.Revision]int{
		4: 1, 5: 1, 8: 0, 10: 0,
		9:  0, // not returned, but no revision of the new history either
		11: 1, // in the future of both
	} {
		if got := h.Of(rev); got != want {
			t.Errorf("revision %d is of history %d, want %d", rev, got, want)
		}
	}
	found(&h, point{12, "l"}, nil)
	h.Return(1, 10)
	for rev, want := range map[kv.Revision]int{8: 0, 9: 1, 10: 1} {
		if got := h.Of(rev); got != want {
			t.Errorf("when the new history has reached 12, and 10 was returned of it, revision %d is of history %d, want %d", rev, got, want)
		}
	}
	h.Return(0, 9)
	if got := h.Of(9); got != 0 {
		t.Errorf("revision 9 was returned of history 0 by a call that took long, and is of history %d", got)
	}
}

func TestMemoryIsBoundedAndTheHighestRevisionIsNeverForgotten(t *testing.T) {
	const many = 20_000
	var h histories
	found(&h, point{many, "z"}, nil)
	for rev := range kv.Revision(many) {
		h.Return(0, rev+1)
	}
	found(&h, point{1, "a"}, nil)
	if got := h.Of(many - 4000); got != 0 {
		t.Errorf("a revision that was returned lately is of history %d, want 0", got)
	}
	for rev := range kv.Revision(many) {
		h.Return(1, 1+rev%2)
	}
	for _, rev := range []kv.Revision{3, many} {
		if got := h.Of(rev); got != 0 {
			t.Errorf("revision %d was returned of history 0 long ago, and history 1 has not reached it: it is of history %d, want 0", rev, got)
		}
	}
}
