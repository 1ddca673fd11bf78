package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// environment is the contract's JSON: where the servers are and what opens them.
type environment struct {
	Control string            `json:"control"`
	Servers map[string]server `json:"servers"`
	TLS     struct {
		CA           string `json:"ca"`
		OtherCA      string `json:"other_ca"`
		ClientCert   string `json:"client_cert"`
		ClientKey    string `json:"client_key"`
		StrangerCert string `json:"stranger_cert"`
		StrangerKey  string `json:"stranger_key"`
		ForeignCert  string `json:"foreign_cert"`
		ForeignKey   string `json:"foreign_key"`
	} `json:"tls"`
	Auth struct {
		Token           string `json:"token"`
		NkeySeed        string `json:"nkey_seed"`
		NkeyPublic      string `json:"nkey_public"`
		NkeySeedUnknown string `json:"nkey_seed_unknown"`
		Creds           string `json:"creds"`
		CredsLimited    string `json:"creds_limited"`
		CredsUnknown    string `json:"creds_unknown"`
		CredsExpired    string `json:"creds_expired"`
	} `json:"auth"`
}

type server struct {
	URL     string `json:"url"`
	Host    string `json:"host"`
	Port    int    `json:"port"`
	Name    string `json:"name"`
	Monitor string `json:"monitor"`
	Unbuilt string `json:"unbuilt"` // instead of all others: why there is no such server yet
}

func loadEnv(path string) (*environment, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read NATTER_COMPAT: %w", err)
	}
	env := new(environment)
	if err := json.Unmarshal(text, env); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return env, nil
}

// control asks the harness to do something to a server and returns when it is done.
func (env *environment) control(path string) error {
	_, err := httpGet(env.Control+path, 30*time.Second)
	return err
}

func httpGet(url string, timeout time.Duration) ([]byte, error) {
	client := http.Client{Timeout: timeout}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return body, nil
}

// background is for requests of goroutines that a scenario waits for itself.
func (env *environment) background() context.Context { return context.Background() }
