package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ctx bounds one request of the streams' API; a scenario's requests share it.
func (t *T) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.cleanup(cancel)
	return ctx
}

// streams connects to a server with streams and wraps the connection.
func (t *T) streams(name string, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	connection := t.connect(name, options...)
	js, err := jetstream.New(connection)
	t.must(err, "jetstream")
	return connection, js
}

func (t *T) stream(js jetstream.JetStream, config jetstream.StreamConfig) jetstream.Stream {
	stream, err := js.CreateStream(t.ctx(), config)
	t.must(err, "create stream "+config.Name)
	return stream
}

func (t *T) consumer(stream jetstream.Stream, config jetstream.ConsumerConfig) jetstream.Consumer {
	consumer, err := stream.CreateOrUpdateConsumer(t.ctx(), config)
	t.must(err, "create consumer "+config.Name+config.Durable)
	return consumer
}

// store publishes in order and waits for each PubAck.
func (t *T) store(js jetstream.JetStream, subject string, payloads ...string) {
	for _, payload := range payloads {
		_, err := js.Publish(t.ctx(), subject, []byte(payload))
		t.must(err, "publish "+subject)
	}
}

func (t *T) info(stream jetstream.Stream) *jetstream.StreamInfo {
	info, err := stream.Info(t.ctx())
	t.must(err, "stream info")
	return info
}

func (t *T) consumerInfo(consumer jetstream.Consumer) *jetstream.ConsumerInfo {
	info, err := consumer.Info(t.ctx())
	t.must(err, "consumer info")
	return info
}

// fetch returns what comes within the wait, at most count messages.
func (t *T) fetch(consumer jetstream.Consumer, count int, wait time.Duration) []jetstream.Msg {
	batch, err := consumer.Fetch(count, jetstream.FetchMaxWait(wait))
	t.must(err, "fetch")
	var got []jetstream.Msg
	for msg := range batch.Messages() {
		got = append(got, msg)
	}
	return got
}

func payloads(msgs []jetstream.Msg) []string {
	texts := []string{}
	for _, msg := range msgs {
		texts = append(texts, string(msg.Data()))
	}
	return texts
}

// errorCode asserts that an API error carries this code, whichever package it comes from.
func (t *T) errorCode(what string, err error, want int) {
	var newer *jetstream.APIError
	var older *nats.APIError
	var managing api.ApiError
	got := 0
	switch {
	case errors.As(err, &newer):
		got = int(newer.ErrorCode)
	case errors.As(err, &older):
		got = int(older.ErrorCode)
	case errors.As(err, &managing):
		got = int(managing.ErrCode)
	}
	t.report(what, got == want, fmt.Sprintf("got error %v (%d), want %d", err, got, want))
}
