package lastknown_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value/lastknown"
)

// These environment variables tell a child process of the tests what to do.
const (
	childPath = "LASTKNOWN_TEST_CHILD" // the directory to save in
	childStep = "LASTKNOWN_TEST_STEP"  // the step at which the child kills itself; if empty, it saves until it is killed
	childFrom = "LASTKNOWN_TEST_FROM"  // the first revision that it saves
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		saveUntilKilled(path)
	}
	os.Exit(m.Run())
}

const killedSize = 300_000

func killedRecord(revision kv.Revision) lastknown.Record {
	return record(kv.Key("/a"), revision, killedSize, "/a")
}

func saveUntilKilled(path string) {
	step, _ := strconv.Atoi(os.Getenv(childStep))
	from, _ := strconv.Atoi(os.Getenv(childFrom))
	dir := lastknown.NewDirOn(path, &killingFiles{at: step})
	for revision := kv.Revision(from); ; revision++ {
		if err := dir.Save(context.Background(), killedRecord(revision)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(revision)
	}
}

// killingFiles is the real file system. It kills its process at a chosen step.
type killingFiles struct {
	lastknown.OSFiles
	at, steps int
}

func (k *killingFiles) step() {
	if k.steps++; k.steps != k.at {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Kill()
	}
	select {} // wait for the kill
}

func (k *killingFiles) CreateTemp(dir, pattern string) (lastknown.TempFile, error) {
	k.step()
	f, err := k.OSFiles.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return &killingFile{f, k}, nil
}

func (k *killingFiles) Rename(from, to string) error {
	k.step()
	return k.OSFiles.Rename(from, to)
}

func (k *killingFiles) SyncDir(path string) error {
	k.step()
	return k.OSFiles.SyncDir(path)
}

type killingFile struct {
	lastknown.TempFile
	files *killingFiles
}

func (f *killingFile) Write(b []byte) (n int, err error) {
	const part = killedSize / 10
	for len(b) > n && err == nil {
		f.files.step()
		var more int
		more, err = f.TempFile.Write(b[n:min(n+part, len(b))])
		n += more
	}
	return n, err
}

func (f *killingFile) Sync() error {
	f.files.step()
	return f.TempFile.Sync()
}

func (f *killingFile) Close() error {
	f.files.step()
	return f.TempFile.Close()
}

// child runs this program as a child that saves records in the directory, from a revision on. After the child has died, it returns the last
// revision that the child has acknowledged. It calls read with each acknowledged revision.
func child(t *testing.T, path string, from kv.Revision, step int, read func(kv.Revision, *os.Process)) (last kv.Revision) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childStep+"="+strconv.Itoa(step), childFrom+"="+fmt.Sprint(from))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }) // limits only a failure
	defer giveUp.Stop()
	last = from - 1
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Errorf("the child printed %q", lines.Text())
			continue
		}
		last = kv.Revision(n)
		if read != nil {
			read(last, cmd.Process)
		}
	}
	cmd.Wait()
	return last
}

// wantAcknowledged requires that Load returns the last acknowledged record, or the record that was being saved after it.
func wantAcknowledged(t *testing.T, path string, acknowledged kv.Revision) {
	t.Helper()
	got, err := lastknown.NewDir(path).Load(t.Context(), kv.Key("/a"))
	if err != nil {
		t.Fatalf("revision %d was saved, but then Load returned: %v", acknowledged, err)
	}
	if n := got.Snapshot.Revision; n != acknowledged && n != acknowledged+1 || !reflect.DeepEqual(got, killedRecord(n)) {
		t.Fatalf("revision %d was saved, but revision %d was loaded", acknowledged, n)
	}
}

func TestAProcessThatKillsItselfAtAnyStepLeavesTheOldOrTheNewRecord(t *testing.T) {
	path := t.TempDir()
	last := kv.Revision(1)
	save(t, lastknown.NewDir(path), killedRecord(last))
	const steps = 1 + 11 + 1 + 1 + 1 + 1 // create, eleven or more writes, flush, close, rename, flush the directory
	for step := 1; step <= 2*steps; step++ {
		acknowledged := child(t, path, last+1, step, nil)
		if saves := int(acknowledged - last); saves > 2 {
			t.Fatalf("the test itself: %d saves before step %d", saves, step)
		}
		wantAcknowledged(t, path, acknowledged)
		got, _ := lastknown.NewDir(path).Load(t.Context(), kv.Key("/a"))
		last = got.Snapshot.Revision
	}
}

func TestAProcessThatIsKilledAtAnyTimeLeavesTheOldOrTheNewRecord(t *testing.T) {
	times := 30
	if testing.Short() {
		times = 5
	}
	path := t.TempDir()
	last := kv.Revision(0)
	for range times {
		kill := last + 1 + kv.Revision(rand.IntN(4))
		acknowledged := child(t, path, last+1, 0, func(n kv.Revision, p *os.Process) {
			if n == kill {
				time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { p.Kill() }) // somewhere in the next save
			}
		})
		wantAcknowledged(t, path, acknowledged)
		got, _ := lastknown.NewDir(path).Load(t.Context(), kv.Key("/a"))
		last = got.Snapshot.Revision
	}
}
