package main

import (
	"bytes"
	"net"
	"sync/atomic"
)

// tamper is a dialer whose connections misbehave on demand, so that an ordinary
// library becomes a peer that stopped reading, stopped writing, or believes
// something about the server that is not so.
type tamper struct {
	// stallReads holds back every later Read until the channel is closed.
	stallReads atomic.Pointer[chan struct{}]
	// loseWrites makes every later Write vanish while it claims success.
	loseWrites atomic.Bool
	// old and new are of one length; what the server says is rewritten so.
	old, new []byte
}

func (d *tamper) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &tamperedConn{Conn: conn, by: d}, nil
}

// stall makes reading stop; the returned function lets it go on.
func (d *tamper) stall() (resume func()) {
	gate := make(chan struct{})
	d.stallReads.Store(&gate)
	return func() {
		if d.stallReads.CompareAndSwap(&gate, nil) {
			close(gate)
		}
	}
}

type tamperedConn struct {
	net.Conn
	by *tamper
}

func (c *tamperedConn) Read(buffer []byte) (int, error) {
	if gate := c.by.stallReads.Load(); gate != nil {
		<-*gate
	}
	n, err := c.Conn.Read(buffer)
	if len(c.by.old) > 0 {
		copy(buffer, bytes.Replace(buffer[:n], c.by.old, c.by.new, 1))
	}
	return n, err
}

func (c *tamperedConn) Write(data []byte) (int, error) {
	if c.by.loseWrites.Load() {
		return len(data), nil
	}
	return c.Conn.Write(data)
}
