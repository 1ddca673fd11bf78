//! Users and accounts that change while their clients are connected.
//!
//! What clients hear, and the reasons their connections end with, are those of
//! nats-server 2.15.1: a user that is gone hears nothing, one whose password has changed
//! hears so.

use super::{Client, Process};

const A: &str = "{user: a, password: a}";
const B: &str = "{user: b, password: b}";

fn users(users: &str) -> String {
    format!("authorization {{ users: [ {users} ] }}")
}

fn login(process: &Process, name: &str, password: &str) -> Client {
    process.client_as(&format!(r#""user":"{name}","pass":"{password}""#))
}

#[test]
fn a_removed_user_hears_nothing_and_the_others_stay() {
    let process = Process::start(&users(&[A, B].join(",")));
    let (mut a, mut b) = (login(&process, "a", "a"), login(&process, "b", "b"));
    process.reload(&users(A));
    assert_eq!(b.until_end(), [""; 0]);
    assert_eq!(a.until_pong(), [""; 0]);
    process.wait_for_closed(&["Client Closed"]);
}

#[test]
fn a_changed_password_is_a_violation() {
    let process = Process::start(&users(A));
    let mut a = login(&process, "a", "a");
    process.reload(&users("{user: a, password: other}"));
    assert_eq!(a.until_end(), ["-ERR 'Authorization Violation'"]);
    process.wait_for_closed(&["Authentication Failure"]);
    drop(login(&process, "a", "other"));
}

#[test]
fn a_user_that_is_new_may_come() {
    let process = Process::start(&users(A));
    process.reload(&users(&[A, B].join(",")));
    drop(login(&process, "b", "b"));
}

#[test]
fn subscriptions_that_are_no_longer_allowed_go_one_by_one() {
    let process = Process::start(&users(A));
    let mut a = login(&process, "a", "a");
    a.send("SUB foo.x 1\nSUB foo.y 2\nSUB q.* grp 3");
    a.until_pong();
    let lines = process.reload(&users(
        "{user: a, password: a, permissions: {subscribe: 'foo.y', publish: {deny: secret}}}",
    ));
    let mut errors = a.until_pong();
    errors.sort();
    let expected = [
        "-ERR 'Permissions Violation for Subscription to \"foo.x\" (sid \"1\")'",
        "-ERR 'Permissions Violation for Subscription to \"q.*\" using queue \"grp\" (sid \"3\")'",
    ];
    assert_eq!(errors, expected);
    drop(lines);
    process.wait_for(
        "log",
        "Removed sub \"foo.x\" (sid \"1\") for User \"a\" - not authorized",
    );
    process.wait_for(
        "log",
        "Removed sub \"q.*\" using queue \"grp\" (sid \"3\") for User \"a\"",
    );
    a.send("PUB foo.x 1\nx\nPUB foo.y 1\ny\nPUB secret 1\ns");
    assert_eq!(
        a.until_pong(),
        [
            "MSG foo.y 2 1",
            "y",
            "-ERR 'Permissions Violation for Publish to \"secret\"'"
        ]
    );
    // And back again.
    process.reload(&users(A));
    a.send("SUB foo.x 4\nPUB foo.x 1\nx");
    assert_eq!(a.until_pong(), ["MSG foo.x 4 1", "x"]);
}

#[test]
fn a_user_that_moves_to_another_account_is_closed() {
    let process = Process::start("accounts { X { users: [{user: a, password: a}] }, Y {} }");
    let mut a = login(&process, "a", "a");
    process.reload("accounts { X {}, Y { users: [{user: a, password: a}] } }");
    assert_eq!(a.until_end(), [""; 0]);
    process.wait_for_closed(&["Client Closed"]);
}

#[test]
fn a_removed_account_takes_its_clients_along_and_may_come_back() {
    let x = "X { users: [{user: a, password: a}] }";
    let y = "Y { users: [{user: b, password: b}], exports: [{stream: s}] }";
    let both = format!("accounts {{ {x}, {y} }}");
    let process = Process::start(&both);
    let (mut a, mut b) = (login(&process, "a", "a"), login(&process, "b", "b"));
    process.reload(&format!("accounts {{ {x} }}"));
    assert_eq!(b.until_end(), [""; 0]);
    assert_eq!(a.until_pong(), [""; 0]);
    let accounts = |process: &Process| process.get("/accountz")["accounts"].to_string();
    assert!(!accounts(&process).contains("\"Y\""));
    process.reload(&both);
    assert!(accounts(&process).contains("\"Y\""));
    let mut b = login(&process, "b", "b");
    b.send("SUB x 1\nPUB x 1\na");
    assert_eq!(b.until_pong(), ["MSG x 1 1", "a"]);
}

#[test]
fn logins_are_switched_on_and_off() {
    let process = Process::start("");
    let mut open = process.client();
    process.reload(&users(A));
    assert_eq!(open.until_end(), ["-ERR 'Authorization Violation'"]);
    let mut refused = Client::connect(&process.address("nats"));
    assert_eq!(refused.info["auth_required"], true);
    refused.send("PING");
    assert_eq!(refused.until_end(), ["-ERR 'Authorization Violation'"]);
    process.reload("");
    drop(process.client());
}

#[test]
fn a_changed_token_is_a_violation_and_the_same_one_is_not() {
    let process = Process::start("authorization { token: t }");
    let mut client = process.client_as(r#""auth_token":"t""#);
    process.reload("authorization { token: t }\nmax_connections: 99");
    assert_eq!(client.until_pong(), [""; 0]);
    process.reload("authorization { token: u }");
    assert_eq!(client.until_end(), ["-ERR 'Authorization Violation'"]);
}

#[test]
fn lower_limits_of_an_account_hold_for_clients_that_are_there() {
    let config = |limits: &str| {
        format!("accounts {{ X {{ users: [{{user: a, password: a}}], limits: {{ {limits} }} }} }}")
    };
    let process = Process::start(&config(""));
    let mut clients: Vec<_> = (0..3).map(|_| login(&process, "a", "a")).collect();
    process.reload(&config("max_connections: 1, max_payload: 5"));
    for client in &mut clients.split_off(1) {
        assert_eq!(
            client.until_end(),
            ["-ERR 'maximum account active connections exceeded'"]
        );
    }
    clients[0].send("PUB x 6\n123456");
    assert_eq!(clients[0].until_end(), ["-ERR 'Maximum Payload Violation'"]);
}
