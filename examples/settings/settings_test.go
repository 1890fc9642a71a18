package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/kv/fault"
	"github.com/watchkv/watchkv/kv/memory"
	"github.com/watchkv/watchkv/value"
	"github.com/watchkv/watchkv/value/lastknown"
)

const first = `{"greeting":"Hello","perUser":5,"total":100}`

// scene is the complete program in a bubble, on the store in memory with faults.
type scene struct {
	t       *testing.T
	store   *fault.Store
	known   value.LastKnown
	program *program
	end     func()
	handler http.Handler
}

// inBubble runs a test in a bubble. It begins with the first configuration, at revision 2.
func inBubble(t *testing.T, test func(s *scene)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, store: fault.New(memory.New()), known: lastknown.Of(lastknown.NewDir(dir), nil)}
		s.start()
		defer func() { s.end() }()
		s.want(s.ask("GET", "/ready", "", ""), 503)
		s.want(s.ask("GET", "/settings", "", ""), 404)
		s.want(s.ask("PUT", "/settings", `"0-0"`, first), 204)
		synctest.Wait() // until the program has the configuration
		test(s)
	})
}

// start starts the program.
func (s *scene) start() {
	s.program, s.end = newProgram(s.store, s.known, slog.New(slog.DiscardHandler))
	s.handler = handler(s.program, s.store)
}

// restart ends the program, calls meanwhile, and starts the program again.
func (s *scene) restart(meanwhile func()) {
	time.Sleep(2 * time.Second) // until the last known configuration is saved
	s.end()
	meanwhile()
	s.start()
}

func (s *scene) ask(method, path, seen, body string) *answer {
	s.t.Helper()
	a, err := ask(s.t.Context(), s.handler, method, path, seen, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// want checks the status of an answer, and that its body contains the given texts.
func (s *scene) want(a *answer, status int, has ...string) {
	s.t.Helper()
	if a.status != status {
		s.t.Errorf("the status is %d, want %d: %s", a.status, status, &a.body)
	}
	for _, text := range has {
		if !strings.Contains(a.body.String(), text) {
			s.t.Errorf("the answer is %s, want an answer that contains %s", &a.body, text)
		}
	}
}

// seen returns the version that a user sees.
func (s *scene) seen() string {
	s.t.Helper()
	a := s.ask("GET", "/settings", "", "")
	s.want(a, 200)
	return a.header.Get("ETag")
}

// wantConfig checks the configuration with which the program works.
func (s *scene) wantConfig(want string) {
	s.t.Helper()
	synctest.Wait()
	c, ok := s.program.config.Latest()
	if got := fmt.Sprint(c.Value); !ok || got != want {
		s.t.Errorf("the program works with %s, want %s", got, want)
	}
}

func (s *scene) put(key, v string) {
	s.t.Helper()
	if _, err := s.store.Put(s.t.Context(), key, []byte(v)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) revision() kv.Revision {
	s.t.Helper()
	now, err := s.store.Get(s.t.Context(), kv.Prefix(prefix))
	if err != nil {
		s.t.Fatal(err)
	}
	return now.Revision
}

func TestTheProgramFollowsItsConfigurationAndNeverSeesAPartOfAnEdit(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.wantConfig("{Hello 5 100 map[]}")
		for _, n := range []int{200, 5, 300} { // a put of only one of the two keys would contradict the other key
			body := fmt.Sprintf(`{"greeting":"Hello","perUser":%d,"total":%d}`, n, n)
			s.want(s.ask("PUT", "/settings", s.seen(), body), 204)
			s.wantConfig(fmt.Sprintf("{Hello %d %d map[]}", n, n))
		}
		if n := s.program.config.Status().DecodeErrors; n != 0 {
			s.t.Errorf("the program saw %d bad configurations", n)
		}
	})
}

func TestAnEditReplacesOnlyTheConfigurationThatItsUserHasSeen(t *testing.T) {
	inBubble(t, func(s *scene) {
		seen := s.seen()
		s.want(s.ask("PUT", "/settings", "", first), 428)
		s.put(totalKey, "101") // with etcdctl
		s.want(s.ask("PUT", "/settings", seen, first), 412)
		s.want(s.ask("GET", "/settings", "", ""), 200, `"total":101`)

		seen = s.seen()
		s.store.Delete(s.t.Context(), totalKey)
		s.want(s.ask("PUT", "/settings", seen, first), 412)
	})
}

func TestOneOfSeveralConcurrentEditsSucceeds(t *testing.T) {
	inBubble(t, func(s *scene) {
		seen, before := s.seen(), s.revision()
		s.store.Delay(time.Second, fault.Commits) // so that all requests read before one writes
		statuses := make(map[int]int)
		var mu sync.Mutex
		var users sync.WaitGroup
		for n := range 10 {
			users.Go(func() {
				body := fmt.Sprintf(`{"greeting":"Hello","perUser":%d,"total":100}`, 50+n)
				if n%2 == 0 { // half of the requests change another key: each change alone is good, but two together are bad
					body = fmt.Sprintf(`{"greeting":"Hello","perUser":5,"total":%d}`, 40-n)
				}
				a := s.ask("PUT", "/settings", seen, body)
				mu.Lock()
				defer mu.Unlock()
				statuses[a.status]++
			})
		}
		users.Wait()
		if got := fmt.Sprint(statuses); got != "map[204:1 412:9]" {
			s.t.Errorf("the answers were %s, want one 204 and nine 412", got)
		}
		if n := s.revision() - before; n != 1 {
			s.t.Errorf("%d commits were made, want one", n)
		}
		s.want(s.ask("GET", "/settings", "", ""), 200)
	})
}

func TestARepeatedRequestIsAppliedOnce(t *testing.T) {
	for name, lost := range map[string][]fault.Match{"the request is lost": {fault.Commits}, "the answer is lost": {fault.Commits, fault.Answered}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(s *scene) {
				seen, before := s.seen(), s.revision()
				s.store.Fail(1, kv.ErrUnavailable, lost...)
				body := `{"greeting":"Good day","perUser":5,"total":100}`
				s.want(s.ask("PUT", "/settings", seen, body), 503, "outcome unknown")
				a := s.ask("PUT", "/settings", seen, body) // the same request again
				s.want(a, 204)
				if got, want := a.header.Get("ETag"), s.seen(); got != want {
					s.t.Errorf("the answer has the version %s, want %s", got, want)
				}
				s.wantConfig("{Good day 5 100 map[]}")
				if n := s.revision() - before; n != 1 {
					s.t.Errorf("%d commits were made, want one", n)
				}
			})
		})
	}
}

func TestABadConfigurationIsRefusedByTheEditor(t *testing.T) {
	inBubble(t, func(s *scene) {
		before := s.revision()
		for _, body := range []string{
			`{`, `{"greeting":7}`,
			`{"greeting":"","perUser":5,"total":100}`,
			`{"greeting":"Hello","perUser":0,"total":100}`,
			`{"greeting":"Hello","perUser":5,"total":4}`,
		} {
			s.want(s.ask("PUT", "/settings", s.seen(), body), 422)
		}
		if s.revision() != before {
			s.t.Error("a bad configuration was written")
		}
	})
}

func TestABadConfigurationDoesNotStopTheProgramAndCanBeRepaired(t *testing.T) {
	for name, harm := range map[string]func(s *scene){
		"does not decode":     func(s *scene) { s.put(totalKey, "many") },
		"contradicts another": func(s *scene) { s.put(totalKey, "1") },
		"is missing":          func(s *scene) { s.store.Delete(s.t.Context(), totalKey) },
	} {
		t.Run("a key "+name, func(t *testing.T) {
			inBubble(t, func(s *scene) {
				harm(s)
				s.wantConfig("{Hello 5 100 map[]}")
				s.want(s.ask("GET", "/hello", "", ""), 200, "Hello")
				s.want(s.ask("GET", "/ready", "", ""), 200, `"ready":true`, `"bad":`, "total")
				shown := s.ask("GET", "/settings", "", "")
				s.want(shown, 500, "total")
				s.want(s.ask("PUT", "/settings", shown.header.Get("ETag"), `{"greeting":"Hello","perUser":5,"total":99}`), 204)
				s.wantConfig("{Hello 5 99 map[]}")
				if a := s.ask("GET", "/ready", "", ""); strings.Contains(a.body.String(), "bad") {
					s.t.Errorf("there is no fault any more, but the probe gets %s", &a.body)
				}
			})
		})
	}
}

func TestADeletedConfigurationDoesNotStopTheProgram(t *testing.T) {
	inBubble(t, func(s *scene) {
		_, err := s.store.Commit(s.t.Context(), kv.DeleteOp(greetingKey), kv.DeleteOp(perUserKey), kv.DeleteOp(totalKey), kv.DeleteOp(featuresKey))
		if err != nil {
			s.t.Fatal(err)
		}
		s.wantConfig("{Hello 5 100 map[]}")
		s.want(s.ask("GET", "/ready", "", ""), 200)
	})
}

func TestAnOutageStopsTheEditorButNotTheProgram(t *testing.T) {
	inBubble(t, func(s *scene) {
		seen := s.seen()
		s.want(s.ask("GET", "/ready", "", ""), 200, `"connected":true`)
		outage := s.store.Fail(-1, kv.ErrUnavailable)
		s.store.EndStreams(kv.ErrUnavailable)
		time.Sleep(time.Hour)
		s.want(s.ask("GET", "/hello", "", ""), 200, "Hello")
		s.want(s.ask("GET", "/ready", "", ""), 200, `"ready":true`, `"connected":false`, `"confirmed":"1h0m`, "unavailable")
		s.want(s.ask("GET", "/settings", "", ""), 503)
		s.want(s.ask("PUT", "/settings", seen, first), 503)
		began := time.Now()
		s.want(s.ask("PUT", "/settings/features/search", "", "true"), 503)
		if d := time.Since(began); d > 11*time.Second {
			s.t.Errorf("the user waited for %v", d)
		}

		outage.Remove()
		s.want(s.ask("PUT", "/settings/features/search", "", "true"), 204)
		time.Sleep(time.Minute) // by then the Value has retried
		s.wantConfig("{Hello 5 100 map[search:true]}")
		s.want(s.ask("GET", "/ready", "", ""), 200, `"connected":true`)
	})
}

func TestAStartDuringAnOutageUsesTheLastKnownConfiguration(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.restart(func() { s.store.Cut() })
		time.Sleep(startAfter - time.Second)
		s.want(s.ask("GET", "/ready", "", ""), 503)
		time.Sleep(2 * time.Second)
		s.wantConfig("{Hello 5 100 map[]}")
		s.want(s.ask("GET", "/hello", "", ""), 200, "Hello")
		s.want(s.ask("GET", "/ready", "", ""), 200, `"ready":true`, `"lastKnown":true`, `"connected":false`)

		s.store.Heal()
		s.put(greetingKey, "Good day")
		time.Sleep(time.Minute) // by then the Value has retried
		s.wantConfig("{Good day 5 100 map[]}")
		if a := s.ask("GET", "/ready", "", ""); strings.Contains(a.body.String(), "lastKnown") {
			s.t.Errorf("the store answers, but the probe gets %s", &a.body)
		}
	})
}

func TestAStartWithABadConfigurationUsesTheLastGoodOne(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.restart(func() { s.put(totalKey, "many") })
		time.Sleep(time.Second)
		s.wantConfig("{Hello 5 100 map[]}")
		s.want(s.ask("GET", "/ready", "", ""), 200, `"lastKnown":true`, `"bad":`)
	})
}

func TestConcurrentSwitchesAreAllAppliedEvenIfAnswersAreLost(t *testing.T) {
	inBubble(t, func(s *scene) {
		lost := 0
		s.store.Fail(10, kv.ErrUnavailable, fault.Puts, fault.Answered, everySecond(&lost))
		var users sync.WaitGroup
		for n := range 20 {
			users.Go(func() {
				s.want(s.ask("PUT", fmt.Sprintf("/settings/features/f%d", n), "", "true"), 204)
			})
		}
		users.Wait()
		synctest.Wait()
		c, _ := s.program.config.Latest()
		if len(c.Value.Features) != 20 {
			s.t.Errorf("the features %v are on, want twenty", c.Value.Features)
		}
		before := s.revision()
		s.want(s.ask("PUT", "/settings/features/f0", "", "true"), 204)
		if s.revision() != before {
			s.t.Error("a switch that was on was written again")
		}
	})
}

func TestASwitchOfAnUnknownFeatureIsRefused(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.want(s.ask("PUT", "/settings/features/search", "", "maybe"), 422)
		s.store.Delete(s.t.Context(), featuresKey)
		s.want(s.ask("PUT", "/settings/features/search", "", "true"), 404)
	})
}

// everySecond matches every second call.
func everySecond(n *int) fault.Match { return alternating{n} }

type alternating struct{ n *int } // used while the faults are locked

func (a alternating) Matches(fault.Call) bool { *a.n++; return *a.n%2 == 0 }
func (a alternating) String() string          { return "every second" }

func TestTheOutputOfTheDemonstration(t *testing.T) {
	var out strings.Builder
	if err := demonstrate(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	var statuses []string
	for line := range strings.Lines(out.String()) {
		if status := strings.TrimSpace(line)[:3]; status[0] >= '2' && status[0] <= '5' {
			statuses = append(statuses, status)
		}
	}
	const want = "[404 204 200 204 412 422 204 200]"
	if got := fmt.Sprint(statuses); got != want || !strings.Contains(out.String(), "Good day") {
		t.Errorf("the demonstration has the answers %s, want %s:\n%s", got, want, &out)
	}
}
