// Package pgtest starts a PostgreSQL server for tests, on loopback, with a temporary data directory. It needs the server's
// programs, and says how to install them if they are missing.
package pgtest

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
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server on loopback. It does not wait for the disk, because tests kill the server but never the machine. Only one goroutine may
// call the methods that start and end it.
type Server struct {
	bin, dir, data string
	port           int
	as             *syscall.SysProcAttr // the user that runs the server: PostgreSQL refuses to run as root
	running        *exec.Cmd
	log            *os.File
}

const missing = `these tests need a PostgreSQL server, version 14 or later: the programs initdb and postgres, in PATH or in /usr/lib/postgresql/*/bin.
On Debian and Ubuntu: apt-get install postgresql`

// New makes an empty server and starts it. Remove ends it.
func New() (*Server, error) { return makeServer((*Server).initdb) }

// Standby starts a synchronous standby of s: every commit of s waits until readers of the standby see it. Remove ends it.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	copied, err := makeServer(func(c *Server) error {
		return c.run("pg_basebackup", "-D", c.data, "-R", "-X", "stream", "--no-sync", "-c", "fast",
			"-d", s.URL("&application_name=standby"))
	})
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{
		"ALTER SYSTEM SET synchronous_standby_names = 'standby'",
		"ALTER SYSTEM SET synchronous_commit = 'remote_apply'",
		"SELECT pg_reload_conf()",
	} {
		if err := s.Exec(ctx, sql); err != nil {
			return copied, err
		}
	}
	for synchronous := false; !synchronous; {
		err := s.Query(ctx, "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'", &synchronous)
		if err != nil {
			return copied, err
		}
	}
	return copied, nil
}

// makeServer starts a server in a data directory that fill makes.
func makeServer(fill func(*Server) error) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgkv")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, data: filepath.Join(dir, "data")}
	err = s.prepare()
	if err == nil {
		err = fill(s)
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		s.Remove()
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

func (s *Server) prepare() (err error) {
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

func (s *Server) initdb() error {
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
shared_preload_libraries = 'plpgsql'
`), 0o600)
}

// run runs a program of PostgreSQL as the server's user.
func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.SysProcAttr, cmd.Dir = s.as, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// dropRoot makes the server run as another user.
func (s *Server) dropRoot() error {
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

// choosePort chooses a free port.
func (s *Server) choosePort() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = ln.Addr().(*net.TCPAddr).Port
	return ln.Close()
}

// Start starts the server, and waits until it answers. After a kill the system may need a moment to end the old one.
func (s *Server) Start() error {
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
		s.Kill()
		<-exited
	}
}

// answers waits until the server answers, or has exited.
func (s *Server) answers(exited <-chan struct{}, deadline time.Time) bool {
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, s.URL(""))
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

// URL returns the connection string, with options such as "&sslmode=disable".
func (s *Server) URL(options string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable%s", s.port, options)
}

// Stop shuts the server down in order.
func (s *Server) Stop() {
	if s.running != nil && s.running.Process != nil {
		s.running.Process.Signal(syscall.SIGINT) // "fast": connections are ended
		s.gone()
	}
}

// Kill ends the server and all its processes at once, as the kernel does when memory runs out.
func (s *Server) Kill() {
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
func (s *Server) gone() {
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

// Backup copies the files of the server. It restarts the server for that. restore kills the server, replaces its files with the copy, and
// starts it again.
func (s *Server) Backup() (restore func() error, err error) {
	s.Stop()
	backup := filepath.Join(s.dir, "backup")
	if out, err := exec.Command("cp", "-a", s.data, backup).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cp: %w\n%s", err, out)
	}
	return func() error {
		s.Kill()
		if err := os.RemoveAll(s.data); err != nil {
			return err
		}
		if err := os.Rename(backup, s.data); err != nil {
			return err
		}
		return s.Start()
	}, s.Start()
}

// Exec runs statements on a new connection.
func (s *Server) Exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL(""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.PgConn().Exec(ctx, sql).Close()
}

// Query runs a statement that returns one row, on a new connection.
func (s *Server) Query(ctx context.Context, sql string, fields ...any) error {
	conn, err := pgx.Connect(ctx, s.URL(""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql).Scan(fields...)
}

// Port returns the port on which the server listens, on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Remove ends the server and removes its files.
func (s *Server) Remove() {
	s.Stop()
	if s.log != nil {
		s.log.Close()
	}
	os.RemoveAll(s.dir)
}
