package pgkv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a PostgreSQL on loopback, with a data directory of its own. It does not wait for the disk: the tests kill it, and never the
// machine.
type server struct {
	bin, dir, data string
	port           int
	as             *syscall.SysProcAttr // who runs it: PostgreSQL refuses to run as root
	running        *exec.Cmd
	log            *os.File
}

const missing = `these tests need a PostgreSQL server, version 14 or later: the programs initdb and postgres, in PATH or in /usr/lib/postgresql/*/bin.
On Debian and Ubuntu: apt-get install postgresql`

// newServer starts a server. It needs to be removed.
func newServer() (*server, error) { return makeServer((*server).initdb) }

// standby starts a copy of s that follows it, and that every commit of s waits for.
func (s *server) standby(ctx context.Context) (*server, error) {
	copied, err := makeServer(func(c *server) error {
		return c.run("pg_basebackup", "-D", c.data, "-R", "-X", "stream", "--no-sync", "-c", "fast",
			"-d", s.url("&application_name=standby"))
	})
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()"} {
		if err := s.exec(ctx, sql); err != nil {
			return copied, err
		}
	}
	return copied, until(ctx, func() (synchronous bool, err error) {
		err = s.query(ctx, "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'", &synchronous)
		return synchronous, err
	})
}

// makeServer starts a server in a data directory that fill makes.
func makeServer(fill func(*server) error) (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgkv")
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, dir: dir, data: filepath.Join(dir, "data")}
	err = s.prepare()
	if err == nil {
		err = fill(s)
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func binaries() (dir string, err error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	dirs = append(dirs, filepath.SplitList(os.Getenv("PATH"))...)
	for _, dir := range dirs {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "initdb")); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", errors.New(missing)
}

func (s *server) prepare() (err error) {
	if os.Geteuid() == 0 {
		if err := s.dropRoot(); err != nil {
			return err
		}
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	return s.choosePort()
}

func (s *server) initdb() error {
	err := s.run("initdb", "-D", s.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.data, "postgresql.auto.conf"), []byte(`
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
fsync = off
full_page_writes = off
min_wal_size = 2MB
max_wal_size = 256MB
log_min_messages = fatal
`), 0o600)
}

// run runs a program of PostgreSQL as the server's user.
func (s *server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.SysProcAttr, cmd.Dir = s.as, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// dropRoot has the server run as another user.
func (s *server) dropRoot() error {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return os.Chown(s.dir, uid, gid)
	}
	return errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// choosePort takes a port that is free.
func (s *server) choosePort() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = ln.Addr().(*net.TCPAddr).Port
	return ln.Close()
}

// start starts the server, and waits until it answers. After a kill the system may need a moment to end the old one.
func (s *server) start() error {
	for deadline := time.Now().Add(time.Minute); ; {
		s.running = exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data, "-p", strconv.Itoa(s.port))
		s.running.SysProcAttr, s.running.Dir = s.as, s.dir
		s.running.Stdout, s.running.Stderr = s.log, s.log
		if err := s.running.Start(); err != nil {
			return err
		}
		exited := make(chan struct{})
		go func() { s.running.Wait(); close(exited) }()
		if s.answers(exited, deadline) {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(s.log.Name())
			return fmt.Errorf("the server does not start:\n%s", log)
		}
		s.kill()
		<-exited
	}
}

// answers waits until the server answers, or has exited.
func (s *server) answers(exited <-chan struct{}, deadline time.Time) bool {
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, s.url(""))
		if err == nil {
			err = conn.Ping(ctx)
			conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-exited:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return false
}

// url returns the connection string, with options such as "&sslmode=disable".
func (s *server) url(options string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable%s", s.port, options)
}

// stop stops the server in good order.
func (s *server) stop() {
	if s.running != nil && s.running.Process != nil {
		s.running.Process.Signal(syscall.SIGINT) // "fast": connections are ended
		s.gone()
	}
}

// kill ends the server and all its processes at once, as the kernel does when memory runs out.
func (s *server) kill() {
	if s.running == nil || s.running.Process == nil {
		return
	}
	children := childrenOf(s.running.Process.Pid)
	s.running.Process.Kill()
	for _, pid := range children {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	s.gone()
}

// gone waits until the server's process has ended. start waits for it too.
func (s *server) gone() {
	for syscall.Kill(s.running.Process.Pid, 0) == nil {
		time.Sleep(time.Millisecond)
	}
}

// childrenOf returns the processes whose parent is pid.
func childrenOf(pid int) (children []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		if fields := strings.Fields(string(rest)); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children = append(children, child)
		}
	}
	return children
}

// copyData copies the data of a server that was stopped, as a backup or to restore it.
func copyData(from, to string) error {
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w\n%s", err, out)
	}
	return nil
}

func (s *server) remove() {
	s.stop()
	if s.log != nil {
		s.log.Close()
	}
	os.RemoveAll(s.dir)
}

// shared is the server of the tests that do not stop it.
var shared *server

func TestMain(m *testing.M) {
	var err error
	if shared, err = newServer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	shared.remove()
	os.Exit(code)
}
