package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

var authScenarios = []scenario{
	{"auth/token", authToken},
	{"auth/users", authUsers},
	{"auth/nkey", authNkey},
	{"auth/credentials", authCredentials},
	{"auth/credentials_limits", authCredentialsLimits},
	{"auth/credentials_expiry", authCredentialsExpiry},
	{"auth/no_auth_user", authNoAuthUser},
	{"auth/reconnect", authReconnect},
}

// admitted asserts that a connection comes about and works.
func (t *T) admitted(what, server string, options ...nats.Option) {
	nc, err := t.dial(server, options...)
	if err == nil {
		err = nc.FlushTimeout(patience)
	}
	t.noError(what, err)
}

// refused asserts the library's error value for bad or missing credentials.
func (t *T) refused(what, server string, options ...nats.Option) {
	_, err := t.dial(server, options...)
	t.errorIs(what, err, nats.ErrAuthorization)
}

func authToken(t *T) {
	for _, server := range []string{"token", "token_bcrypt"} {
		t.admitted(server+"_right", server, nats.Token(t.env.Auth.Token))
		t.refused(server+"_wrong", server, nats.Token("not-it"))
		t.refused(server+"_missing", server)
	}
	t.admitted("from_a_callback", "token", nats.TokenHandler(func() string { return t.env.Auth.Token }))
	s := t.server("token")
	nc, err := nats.Connect(fmt.Sprintf("nats://%s@%s:%d", t.env.Auth.Token, s.Host, s.Port))
	t.noError("in_the_url", err)
	if err == nil {
		t.is("is_announced_as_required", nc.AuthRequired())
		nc.Close()
	}
}

func authUsers(t *T) {
	t.admitted("plain_right", "users", nats.UserInfo("alice", "wonderland"))
	t.admitted("bcrypt_right", "users", nats.UserInfo("bob", "builder"))
	t.refused("plain_wrong_password", "users", nats.UserInfo("alice", "builder"))
	t.refused("bcrypt_wrong_password", "users", nats.UserInfo("bob", "wonderland"))
	t.refused("unknown_user", "users", nats.UserInfo("carol", "wonderland"))
	t.refused("no_password", "users", nats.UserInfo("alice", ""))
	t.refused("nothing", "users")
	t.refused("a_token_instead", "users", nats.Token("wonderland"))
	s := t.server("users")
	nc, err := nats.Connect(fmt.Sprintf("nats://%s@%s:%d", url.UserPassword("bob", "builder"), s.Host, s.Port))
	t.noError("in_the_url", err)
	if err == nil {
		nc.Close()
	}
}

// nkeyOption signs the server's nonce with a seed.
func (t *T) nkeyOption(seed string) nats.Option {
	pair, err := nkeys.FromSeed([]byte(seed))
	t.must(err, "nkey seed")
	public, err := pair.PublicKey()
	t.must(err, "nkey public")
	return nats.Nkey(public, pair.Sign)
}

func authNkey(t *T) {
	t.admitted("right", "nkey", t.nkeyOption(t.env.Auth.NkeySeed))
	t.refused("unknown_key", "nkey", t.nkeyOption(t.env.Auth.NkeySeedUnknown))
	other, err := nkeys.FromSeed([]byte(t.env.Auth.NkeySeedUnknown))
	t.must(err, "nkey seed")
	t.refused("signed_by_another_key", "nkey", nats.Nkey(t.env.Auth.NkeyPublic, other.Sign))
	pair, err := nkeys.FromSeed([]byte(t.env.Auth.NkeySeed))
	t.must(err, "nkey seed")
	t.refused("signed_something_else", "nkey", nats.Nkey(t.env.Auth.NkeyPublic, func([]byte) ([]byte, error) {
		return pair.Sign([]byte("not the nonce"))
	}))
	t.refused("nothing", "nkey")
}

func authCredentials(t *T) {
	t.admitted("right", "jwt", nats.UserCredentials(t.env.Auth.Creds))
	t.refused("of_an_unknown_account", "jwt", nats.UserCredentials(t.env.Auth.CredsUnknown))
	_, err := t.dial("jwt", nats.UserCredentials(t.env.Auth.CredsExpired))
	t.is("expired", errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired), err)
	t.refused("nothing", "jwt")
}

// authCredentialsLimits meets what the signed user may not do.
func authCredentialsLimits(t *T) {
	seen := new(asyncErrors)
	nc := t.connect("jwt", nats.UserCredentials(t.env.Auth.CredsLimited), seen.option())
	for i := range 3 {
		t.subscribe(nc, fmt.Sprint("jwt.sub.", i))
	}
	t.equal("subscriptions_within_the_limit", seen.count(), 0)
	_, err := nc.SubscribeSync("jwt.sub.3")
	t.must(err, "subscribe")
	t.eventually("one_more_is_the_librarys_error", func() bool { return seen.saw(nats.ErrMaxSubscriptionsExceeded, "") })
	t.eventually("the_payload_limit_is_announced", func() bool { return nc.MaxPayload() == 1000 })
	t.errorIs("and_kept_by_the_library", nc.Publish("jwt.sub.0", make([]byte, 1001)), nats.ErrMaxPayload)

	denied := new(asyncErrors)
	free := t.connect("jwt", nats.UserCredentials(t.env.Auth.Creds), denied.option())
	t.publish(free, "denied.x", "")
	t.eventually("a_signed_permission_holds", func() bool { return denied.saw(nats.ErrPermissionViolation, `Publish to "denied.x"`) })
}

// authCredentialsExpiry outlives its own credentials.
func authCredentialsExpiry(t *T) {
	body, err := httpGet(t.env.Control+"/creds/3", patience)
	t.must(err, "control /creds/3")
	var issued struct {
		Creds string `json:"creds"`
	}
	t.must(json.Unmarshal(body, &issued), "parse issued credentials")
	life, seen := new(events), new(asyncErrors)
	nc := t.connect("jwt", append(life.options(), seen.option(), nats.UserCredentials(issued.Creds))...)
	t.noError("they_work_at_first", nc.FlushTimeout(patience))
	t.eventually("the_server_ends_the_connection", func() bool { return life.saw("closed") })
	t.is("with_the_librarys_error", seen.saw(nats.ErrAuthExpired, ""))
}

func authNoAuthUser(t *T) {
	nc := t.connect("accounts")
	t.equal("nothing_lands_in_its_account", t.userInfo(nc).Account, "GUEST")
	t.equal("as_that_user", t.userInfo(nc).User, "guest")
	t.refused("wrong_password_is_still_wrong", "accounts", nats.UserInfo("alpha", "nope"))
	t.equal("a_named_user_is_itself", t.userInfo(t.connect("accounts", nats.UserInfo("gamma", "gamma"))).Account, "GAMMA")
}

// authReconnect gives up when the server it comes back to no longer knows it.
func authReconnect(t *T) {
	t.control("/config/reload/more")
	life, seen := new(events), new(asyncErrors)
	t.connect("reload", stubborn(life, seen.option(), nats.UserInfo("second", "second"), nats.ReconnectWait(10*time.Millisecond))...)
	t.control("/config/reload/base")
	t.eventually("twice_the_same_refusal_closes_for_good", func() bool { return life.saw("closed") })
	t.is("with_the_librarys_error", seen.saw(nats.ErrAuthorization, ""))
}
