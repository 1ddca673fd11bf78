//! Peers that send too much, too little, or rubbish.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::limits_kit::{Client, Rig, wait_for};

/// Sends `bytes` again and again until the server hangs up; how much it took before.
fn flood(mut client: Client, bytes: &[u8]) -> (usize, Vec<u8>) {
    let mut sent = 0;
    while sent < 64 << 20 && client.try_send(bytes).is_ok() {
        sent += bytes.len();
    }
    (sent, client.rest())
}

#[test]
fn a_stranger_cannot_make_the_server_read_on() {
    let rig = Rig::new("authorization { user: a, password: b }");
    let x = [b'x'; 4096];
    for (first, then) in [
        (&b""[..], &x[..]),
        (b"CONNECT {\"name\":\"", &x),
        (b"PUB a 1000000\r\n", &x),
        (b"CONNECT {}\r\n", b"PING\r\n"),
        (b"c", b"c"),
    ] {
        let mut client = rig.stranger();
        client.send(first);
        let (sent, _) = flood(client, then);
        // What the system's buffers hold is not the server's.
        assert!(sent < 32 << 20, "{sent} bytes were taken");
        wait_for("its leave", || rig.clients() == 0);
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let rig = Rig::new("");
    let mut subscriber = rig.client();
    subscriber.send(b"SUB a 1\r\n");
    subscriber.sync();
    let mut client = rig.stranger();
    client.stream.set_nodelay(true).expect("an option");
    for byte in b"CONNECT {\"verbose\":false}\r\nPUB a 5\r\nhello\r\nPUB a 0\r\n\r\nPING\r\n" {
        client.send(&[*byte]);
    }
    assert_eq!(subscriber.message().as_deref(), Some(&b"hello"[..]));
    assert_eq!(subscriber.message().as_deref(), Some(&b""[..]));
    assert_eq!(client.line(), "PONG");
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: usize = status
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("a number");
    pages * 4096
}

#[test]
fn a_body_that_is_only_announced_costs_nothing() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { ..limit }).expect("more files");
    let rig = Rig::new("");
    rig.client();
    let before = resident();
    let clients: Vec<Client> = (0..2000)
        .map(|_| {
            let mut client = rig.client();
            client.send(b"PUB a 1048576\r\nthe beginning");
            client
        })
        .collect();
    assert_eq!(rig.clients(), 2000 + usize::from(rig.clients() > 2000));
    let each = resident().saturating_sub(before) / clients.len();
    // Both ends are in this process, and other tests run beside: an announced megabyte or
    // a read buffer each would show all the same.
    assert!(each < 48 * 1024, "{each} bytes for each");
}

#[test]
fn a_reset_in_the_middle_leaves_nothing() {
    let rig = Rig::new("");
    for bytes in [
        &b"PUB a 1000\r\nhalf"[..],
        b"SUB a 1\r\nSU",
        b"SUB > 1\r\nPUB a 1\r\nx\r\n",
    ] {
        let mut client = rig.client();
        client.send(bytes);
        set_socket_linger(&client.stream, Some(Duration::ZERO)).expect("an option");
        drop(client);
        wait_for("its leave", || rig.clients() == 0);
        assert_eq!(rig.subscriptions(), 0);
    }
}

#[test]
fn who_closes_one_half_still_hears_the_answer() {
    let rig = Rig::new("");
    let mut client = rig.client();
    client.send(b"SUB a 1\r\nPUB a 2\r\nhi\r\nPING\r\n");
    client
        .stream
        .shutdown(std::net::Shutdown::Write)
        .expect("half a close");
    assert_eq!(client.message().as_deref(), Some(&b"hi"[..]));
    assert_eq!(client.message(), None);
    assert_eq!(client.line(), "", "and then the end");
}

#[test]
fn one_client_too_many_hears_why() {
    let rig = Rig::new("max_connections: 1");
    let first = rig.client();
    let mut second = rig.stranger();
    let _ = second.try_send(b"CONNECT {}\r\nPING\r\n");
    assert_eq!(second.line(), "-ERR 'maximum connections exceeded'");
    drop(first);
}

#[test]
fn a_dropped_server_closes_its_sockets() {
    let rig = Rig::new("");
    let client = rig.client();
    let address = rig.address();
    drop(rig);
    client.rest();
    wait_for("a closed port", || TcpStream::connect(address).is_err());
}

#[test]
fn operations_behind_a_fatal_one_are_not_carried_out() {
    let rig = Rig::new("");
    let mut subscriber = rig.client();
    subscriber.send(b"SUB a 1\r\n");
    subscriber.sync();
    let mut client = rig.client();
    let _ = client
        .stream
        .write_all(b"PUB a 1\r\n1\r\nHPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\nPUB a 1\r\n2\r\n");
    client.rest();
    subscriber.send(b"PING\r\n");
    assert_eq!(subscriber.message().as_deref(), Some(&b"1"[..]));
    assert_eq!(subscriber.message(), None);
}
