package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

var systemScenarios = []scenario{
	{"system/events", systemEvents},
	{"system/requests", systemRequests},
	{"system/access", systemAccess},
}

// userInfo is what the server says about the connection that asks.
type userInfo struct {
	User        string          `json:"user"`
	Account     string          `json:"account"`
	Permissions json.RawMessage `json:"permissions"`
}

func (t *T) userInfo(nc *nats.Conn) userInfo {
	var response struct {
		Data userInfo `json:"data"`
	}
	t.must(json.Unmarshal(t.request(nc, "$SYS.REQ.USER.INFO", "").Data, &response), "parse user info")
	return response.Data
}

type clientEvent struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Server struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"server"`
	Client struct {
		ID      uint64 `json:"id"`
		Account string `json:"acc"`
		User    string `json:"user"`
		Name    string `json:"name"`
		Lang    string `json:"lang"`
		Host    string `json:"host"`
	} `json:"client"`
	Sent struct {
		Msgs int `json:"msgs"`
	} `json:"sent"`
	Received struct {
		Msgs int `json:"msgs"`
	} `json:"received"`
}

// eventAbout is the next event on a subscription whose client has that name.
func (t *T) eventAbout(subscription *nats.Subscription, name string) (clientEvent, string) {
	for {
		msg := t.next(subscription)
		var event clientEvent
		t.must(json.Unmarshal(msg.Data, &event), "parse event")
		if event.Client.Name == name {
			return event, msg.Subject
		}
	}
}

func systemEvents(t *T) {
	sys := t.member("sys")
	connects, disconnects := t.subscribe(sys, "$SYS.ACCOUNT.GAMMA.CONNECT"), t.subscribe(sys, "$SYS.ACCOUNT.*.DISCONNECT")
	authErrors := t.subscribe(sys, "$SYS.SERVER.*.CLIENT.AUTH.ERR")
	nc := t.member("gamma", nats.Name("watched"))
	id, err := nc.GetClientID()
	t.must(err, "client id")
	event, _ := t.eventAbout(connects, "watched")
	t.equal("connect_type", event.Type, "io.nats.server.advisory.v1.client_connect")
	t.equal("connect_client", fmt.Sprint(event.Client.ID, event.Client.Account, event.Client.User, event.Client.Lang, event.Client.Host),
		fmt.Sprint(id, "GAMMA", "gamma", "go", "127.0.0.1"))
	t.equal("connect_server", event.Server.ID+event.Server.Name, nc.ConnectedServerId()+nc.ConnectedServerName())

	t.publish(nc, "sys.count", "x")
	t.flush(nc)
	nc.Close()
	event, subject := t.eventAbout(disconnects, "watched")
	t.equal("disconnect_subject", subject, "$SYS.ACCOUNT.GAMMA.DISCONNECT")
	t.equal("disconnect_type", event.Type, "io.nats.server.advisory.v1.client_disconnect")
	t.equal("disconnect_reason", event.Reason, "Client Closed")
	t.equal("disconnect_counts", fmt.Sprint(event.Sent.Msgs, event.Received.Msgs), "1 0")

	_, err = t.dial("accounts", nats.UserInfo("gamma", "wrong"), nats.Name("burglar"))
	t.errorIs("a_bad_password_is_refused", err, nats.ErrAuthorization)
	event, _ = t.eventAbout(authErrors, "burglar")
	t.equal("and_reported", event.Reason, "Authentication Failure")
}

func systemRequests(t *T) {
	sys := t.member("sys")
	id := sys.ConnectedServerId()
	ask := func(subject, request string, into any) {
		t.must(json.Unmarshal(t.request(sys, subject, request).Data, into), "parse "+subject)
	}
	var ping struct {
		Server struct {
			ID string `json:"id"`
		} `json:"server"`
		Statsz struct {
			Connections int `json:"connections"`
		} `json:"statsz"`
	}
	ask("$SYS.REQ.SERVER.PING", "", &ping)
	t.is("ping", ping.Server.ID == id && ping.Statsz.Connections >= 1, ping)
	var varz struct {
		Data struct {
			Name          string `json:"server_name"`
			MaxPayload    int    `json:"max_payload"`
			SystemAccount string `json:"system_account"`
		} `json:"data"`
	}
	ask("$SYS.REQ.SERVER."+id+".VARZ", "", &varz)
	t.equal("varz", fmt.Sprint(varz.Data.Name, varz.Data.MaxPayload, varz.Data.SystemAccount), fmt.Sprint(t.server("accounts").Name, 1<<20, "SYS"))
	ask("$SYS.REQ.SERVER.PING.VARZ", "", &varz)
	t.equal("ping_varz", varz.Data.Name, t.server("accounts").Name)

	watched := t.member("gamma", nats.Name("in-connz"))
	t.subscribe(watched, "sys.watched")
	var connz struct {
		Data struct {
			Connections []struct {
				Name          string   `json:"name"`
				Account       string   `json:"account"`
				Subscriptions []string `json:"subscriptions_list"`
			} `json:"connections"`
		} `json:"data"`
	}
	ask("$SYS.REQ.SERVER."+id+".CONNZ", `{"auth":true,"subscriptions":true,"acc":"GAMMA"}`, &connz)
	found := ""
	for _, c := range connz.Data.Connections {
		if c.Name == "in-connz" {
			found = c.Account + strings.Join(c.Subscriptions, ",")
		}
	}
	t.equal("connz_with_options", found, "GAMMAsys.watched")
	ask("$SYS.REQ.ACCOUNT.GAMMA.CONNZ", "", &connz)
	t.is("account_connz", len(connz.Data.Connections) >= 1)
	var subsz struct {
		Data struct {
			Count int `json:"num_subscriptions"`
		} `json:"data"`
	}
	ask("$SYS.REQ.SERVER."+id+".SUBSZ", "", &subsz)
	t.is("subsz", subsz.Data.Count > 0, subsz)
	var accountz struct {
		Data struct {
			Accounts []string `json:"accounts"`
		} `json:"data"`
	}
	ask("$SYS.REQ.SERVER."+id+".ACCOUNTZ", "", &accountz)
	t.is("accountz", strings.Contains(strings.Join(accountz.Data.Accounts, " "), "GAMMA"), accountz)
	var healthz struct {
		Data struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	ask("$SYS.REQ.SERVER."+id+".HEALTHZ", "", &healthz)
	t.equal("healthz", healthz.Data.Status, "ok")
	var statz struct {
		Data struct {
			Accounts []struct {
				Account     string `json:"acc"`
				Connections int    `json:"conns"`
			} `json:"account_statz"`
		} `json:"data"`
	}
	ask("$SYS.REQ.ACCOUNT.PING.STATZ", `{"accounts":["GAMMA"]}`, &statz)
	t.is("account_statz", len(statz.Data.Accounts) == 1 && statz.Data.Accounts[0].Connections >= 1, statz)
	_, err := sys.Request("$SYS.REQ.SERVER.NOSUCHSERVER.VARZ", nil, patience)
	t.errorIs("another_server_does_not_answer", err, nats.ErrNoResponders)
}

func systemAccess(t *T) {
	alpha := t.member("alpha")
	info := t.userInfo(alpha)
	t.equal("anybody_may_ask_who_he_is", info.User+info.Account, "alphaALPHA")
	_, err := alpha.Request("$SYS.REQ.SERVER.PING", nil, patience)
	t.errorIs("but_not_about_the_server", err, nats.ErrNoResponders)
	events := t.subscribe(alpha, "$SYS.>")
	t.member("gamma")
	t.publish(alpha, "$SYS.end", "end")
	t.equal("nor_hear_its_events", t.texts(events), []string{})
	t.eventually("the_system_account_is_told_so", t.member("sys").IsSystemAccount)
	t.is("and_nobody_else", !alpha.IsSystemAccount())
}
