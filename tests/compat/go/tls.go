package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

var tlsScenarios = []scenario{
	{"tls/required", tlsRequired},
	{"tls/trust", tlsTrust},
	{"tls/client_certificate", tlsClientCertificate},
	{"tls/mapped_user", tlsMappedUser},
	{"tls/handshake_first", tlsHandshakeFirst},
	{"tls/optional", tlsOptional},
	{"tls/reconnect", tlsReconnect},
}

// trusted knows the authority that signed the servers' certificate.
func (t *T) trusted() nats.Option { return nats.RootCAs(t.env.TLS.CA) }

func tlsRequired(t *T) {
	nc := t.connect("tls", t.trusted())
	state, err := nc.TLSConnectionState()
	t.noError("the_connection_is_encrypted", err)
	t.equal("with_version_1_3", state.Version, uint16(tls.VersionTLS13))
	t.is("and_announced_as_required", nc.TLSRequired())
	subscription := t.subscribe(nc, "tls.data")
	big := make([]byte, nc.MaxPayload())
	t.must(nc.Publish("tls.data", big), "publish")
	t.equal("big_messages_travel", len(t.next(subscription).Data), len(big))

	older, err := t.dial("tls", nats.Secure(&tls.Config{RootCAs: t.pool(t.env.TLS.CA), MaxVersion: tls.VersionTLS12}))
	t.noError("version_1_2_is_accepted", err)
	if err == nil {
		state, _ := older.TLSConnectionState()
		t.equal("version_1_2_is_used", state.Version, uint16(tls.VersionTLS12))
	}
	s := t.server("tls")
	byName, err := nats.Connect(fmt.Sprintf("tls://localhost:%d", s.Port), t.trusted(), nats.Timeout(patience))
	t.noError("by_scheme_and_host_name", err)
	if err == nil {
		byName.Close()
	}
	_, err = t.dial("plain", nats.Secure())
	t.errorIs("a_server_without_it_is_the_librarys_error", err, nats.ErrSecureConnWanted)
}

func (t *T) pool(file string) *x509.CertPool {
	text, err := os.ReadFile(file)
	t.must(err, "read "+file)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

func tlsTrust(t *T) {
	var unknown x509.UnknownAuthorityError
	_, err := t.dial("tls")
	t.is("an_unknown_authority_is_refused", errors.As(err, &unknown), err)
	_, err = t.dial("tls", nats.RootCAs(t.env.TLS.OtherCA))
	t.is("another_authority_is_refused", errors.As(err, &unknown), err)
	var name x509.HostnameError
	_, err = t.dial("tls", nats.Secure(&tls.Config{RootCAs: t.pool(t.env.TLS.CA), ServerName: "elsewhere.example"}))
	t.is("another_name_is_refused", errors.As(err, &name), err)
	_, err = t.dial("tls", nats.Secure(&tls.Config{InsecureSkipVerify: true}))
	t.noError("unless_nobody_looks", err)
}

func tlsClientCertificate(t *T) {
	tlsEnv := t.env.TLS
	_, err := t.dial("tls_verify", t.trusted(), nats.ClientCert(tlsEnv.ClientCert, tlsEnv.ClientKey))
	t.noError("signed_by_the_authority", err)
	_, err = t.dial("tls_verify", t.trusted(), nats.ClientCert(tlsEnv.StrangerCert, tlsEnv.StrangerKey))
	t.noError("of_anybody_it_signed", err)
	_, err = t.dial("tls_verify", t.trusted())
	t.is("none_is_refused", wantsCertificate(err), err)
	_, err = t.dial("tls_verify", t.trusted(), nats.ClientCert(tlsEnv.ForeignCert, tlsEnv.ForeignKey))
	t.is("another_authoritys_is_refused", err != nil, err)
	_, err = t.dial("tls", t.trusted(), nats.ClientCert(tlsEnv.ForeignCert, tlsEnv.ForeignKey))
	t.noError("nobody_asks_without_verify", err)
}

func tlsMappedUser(t *T) {
	tlsEnv := t.env.TLS
	nc, err := t.dial("tls_map", t.trusted(), nats.ClientCert(tlsEnv.ClientCert, tlsEnv.ClientKey))
	t.noError("a_known_certificate_is_a_user", err)
	if err == nil {
		t.equal("by_its_address", t.userInfo(nc).User, "compat@example.com")
	}
	_, err = t.dial("tls_map", t.trusted(), nats.ClientCert(tlsEnv.StrangerCert, tlsEnv.StrangerKey))
	t.errorIs("an_unmapped_one_is_not", err, nats.ErrAuthorization)
	_, err = t.dial("tls_map", t.trusted())
	t.is("none_is_refused", wantsCertificate(err), err)
}

// wantsCertificate tells a refusal for want of a certificate. With TLS 1.3 it
// comes after the client's half of the handshake: as an alert, or as a closed
// connection when the client was writing already.
func wantsCertificate(err error) bool {
	return errors.Is(err, nats.ErrTLS) || err != nil && strings.Contains(err.Error(), "certificate required")
}

func tlsHandshakeFirst(t *T) {
	nc, err := t.dial("tls_first", t.trusted(), nats.TLSHandshakeFirst())
	t.noError("comes_before_info", err)
	if err == nil {
		t.noError("and_works", nc.FlushTimeout(patience))
	}
	_, err = t.dial("tls_first", t.trusted(), nats.Timeout(300*time.Millisecond))
	t.is("who_waits_for_info_waits_in_vain", err != nil, err)
	_, err = t.dial("tls", t.trusted(), nats.TLSHandshakeFirst())
	t.is("not_with_a_server_that_speaks_first", err != nil, err)
}

func tlsOptional(t *T) {
	plain := t.connect("tls_optional")
	_, err := plain.TLSConnectionState()
	t.errorIs("without_it", err, nats.ErrConnectionNotTLS)
	secret := t.connect("tls_optional", nats.Secure(), t.trusted())
	_, err = secret.TLSConnectionState()
	t.noError("with_it", err)
	subscription := t.subscribe(plain, "tls.both")
	t.publish(secret, "tls.both", "across")
	t.equal("they_meet", string(t.next(subscription).Data), "across")
}

func tlsReconnect(t *T) {
	life := new(events)
	nc := t.connect("tls", stubborn(life, t.trusted())...)
	subscription := t.subscribe(nc, "tls.again")
	t.control("/restart/tls")
	t.eventually("comes_back", func() bool { return life.saw("reconnected") })
	_, err := nc.TLSConnectionState()
	t.noError("encrypted_again", err)
	t.publish(nc, "tls.again", "x")
	t.equal("subscribed_again", string(t.next(subscription).Data), "x")
}
