package history

import (
	"os"
	"testing"
)

// Check fails the test if r is wrong. Then it also writes porcupine's picture of r to a file, and logs the name of the file. It reports
// whether r is right.
func (r Run) Check(t testing.TB) bool {
	t.Helper()
	err := r.Judge()
	if err == nil {
		return true
	}
	t.Errorf("the history is wrong: %v", err)
	picture, err := os.CreateTemp("", "history-*.html") // it remains after the test, unlike the test's own directories
	if err != nil {
		t.Errorf("cannot draw a picture of the history: %v", err)
		return false
	}
	defer picture.Close()
	if err := r.Draw(picture); err != nil {
		t.Errorf("cannot draw a picture of the history: %v", err)
		return false
	}
	t.Logf("a picture of the history: %s", picture.Name())
	return false
}
