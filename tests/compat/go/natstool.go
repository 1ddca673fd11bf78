package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

var natsToolScenarios = []scenario{{"nats-tool", natsToolVerbs}}

// natsToolVerbs drives the official command line tool, where there is one. A
// program of that name that is this project's own would judge itself.
func natsToolVerbs(t *T) {
	const missing = "the official nats tool is not on this machine"
	path, err := exec.LookPath("nats")
	if err != nil {
		t.skip(missing)
		return
	}
	version, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil || strings.Contains(strings.ToLower(string(version)), "natter") {
		t.skip(missing)
		return
	}
	home, err := os.MkdirTemp("", "compat-nats-")
	t.must(err, "temporary home")
	t.cleanup(func() { _ = os.RemoveAll(home) })
	start := func(server string, arguments ...string) (*exec.Cmd, *sharedText, func() error) {
		ctx, stop := context.WithTimeout(context.Background(), 4*patience)
		t.cleanup(stop)
		all := append([]string{"--server", server}, arguments...)
		command, output := exec.CommandContext(ctx, path, all...), new(sharedText)
		command.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "NATS_CONTEXT=")
		command.Stdout, command.Stderr = output, output
		t.must(command.Start(), "start nats "+arguments[0])
		return command, output, command.Wait
	}
	run := func(server string, arguments ...string) string {
		_, output, wait := start(server, arguments...)
		if err := wait(); err != nil {
			return fmt.Sprint(err, ": ", output)
		}
		return output.String()
	}
	plain := t.server("plain")
	nc := t.connect("plain")

	incoming := t.subscribe(nc, "tool.pub")
	run(plain.URL, "pub", "tool.pub", "from the tool", "-H", "A:b")
	msg := t.next(incoming)
	t.equal("pub", string(msg.Data)+msg.Header.Get("A"), "from the toolb")

	_, output, wait := start(plain.URL, "sub", "tool.sub", "--count", "1")
	// It never answers: as long as there is no responder, it does not listen yet.
	arrived := await(patience, func() bool {
		_, err := nc.Request("tool.sub", []byte("to the tool"), time.Second/4)
		return err == nats.ErrTimeout
	})
	t.is("sub", arrived && wait() == nil && strings.Contains(output.String(), "to the tool"), output)

	t.respond(nc, "tool.req", func(m *nats.Msg) { _ = m.Respond([]byte("answered")) })
	t.is("req", strings.Contains(run(plain.URL, "req", "tool.req", "x"), "answered"))

	_, output, wait = start(plain.URL, "reply", "tool.reply", "replied", "--count", "1")
	var answer *nats.Msg
	await(patience, func() bool { answer, err = nc.Request("tool.reply", nil, time.Second); return err == nil })
	t.is("reply", answer != nil && strings.Contains(string(answer.Data), "replied"), output)

	t.is("rtt", strings.Contains(run(plain.URL, "rtt"), plain.Host))
	t.is("bench", strings.Contains(run(plain.URL, "bench", "pub", "tool.bench", "--msgs", "1000", "--no-progress"), "msgs/sec"))

	accounts := t.server("accounts")
	sys := fmt.Sprintf("nats://sys:sys@%s:%d", accounts.Host, accounts.Port)
	t.is("server_ping", strings.Contains(run(sys, "server", "ping", "1"), accounts.Name))
	t.is("server_info", strings.Contains(run(sys, "server", "info"), accounts.Name))
	t.is("server_list", strings.Contains(run(sys, "server", "list", "1"), accounts.Name))
	t.is("account_info", strings.Contains(run(fmt.Sprintf("nats://gamma:gamma@%s:%d", accounts.Host, accounts.Port), "account", "info"), "GAMMA"))

	command, output, wait := start(sys, "events", "--all")
	reported := await(patience, func() bool {
		t.member("gamma").Close()
		return strings.Contains(output.String(), "GAMMA")
	})
	_ = command.Process.Kill()
	_ = wait()
	t.is("events", reported)
}

// sharedText is written by a running command and read by the one who waits for it.
type sharedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *sharedText) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(data)
}

func (s *sharedText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
