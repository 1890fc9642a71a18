package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// Config is the configuration of the program. It is kept in several keys, so that people can read and change each of them with etcdctl.
type Config struct {
	Greeting string   `json:"greeting"` // text, at /settings/greeting
	PerUser  int      `json:"perUser"`  // requests a second, at /settings/per-user
	Total    int      `json:"total"`    // requests a second of all users, at /settings/total
	Features features `json:"features"` // at /settings/features
}

// features says which features are switched on.
type features map[string]bool

const (
	prefix      = "/settings/"
	greetingKey = prefix + "greeting"
	perUserKey  = prefix + "per-user"
	totalKey    = prefix + "total"
	featuresKey = prefix + "features"
)

// check returns an error if the program cannot work with c. Contradictions between two keys are found only here, where both are known.
func (c Config) check() error {
	switch {
	case c.Greeting == "":
		return errors.New("no greeting")
	case c.PerUser < 1:
		return errors.New("per user: want 1 a second at least")
	case c.PerUser > c.Total:
		return fmt.Errorf("%d per user are more than %d in total", c.PerUser, c.Total)
	}
	return nil
}

// decode makes a Config of all keys, or returns an error. It ignores unknown keys, because a newer version of the program may have them.
func decode(entries []kv.Entry) (c Config, err error) {
	missing := []string{featuresKey, greetingKey, perUserKey, totalKey}
	for _, e := range entries {
		switch e.Key {
		case greetingKey:
			c.Greeting = string(e.Value)
		case perUserKey:
			err = json.Unmarshal(e.Value, &c.PerUser)
		case totalKey:
			err = json.Unmarshal(e.Value, &c.Total)
		case featuresKey:
			err = json.Unmarshal(e.Value, &c.Features)
		}
		if err != nil {
			return Config{}, fmt.Errorf("%s: %w", e.Key, err)
		}
		missing = slices.DeleteFunc(missing, func(key string) bool { return key == e.Key })
	}
	if len(missing) > 0 {
		return Config{}, errors.New("missing: " + strings.Join(missing, ", "))
	}
	return c, c.check()
}

// encode returns the value of each key.
func (c Config) encode() (map[string][]byte, error) {
	values := map[string][]byte{greetingKey: []byte(c.Greeting)}
	for key, v := range map[string]any{perUserKey: c.PerUser, totalKey: c.Total, featuresKey: c.Features} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		values[key] = b
	}
	return values, nil
}
