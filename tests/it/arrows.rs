//! The house's walls: which room may use which.
//!
//! Rust has no walls inside one package, so this test is the wall. It reads the table
//! "Rooms and arrows" of `ARCHITECTURE.md` and every `crate::room` path under `src`
//! (also through `super`, groups and `natter::` in `main.rs`), and names file and line
//! of each path that the table does not allow.
//!
//! Invariants: a room uses rooms on lower floors, and on its own floor those in its row;
//! the rooms of `src/lib.rs` are the rows of the table; a pure room names no runtime,
//! socket, file or clock. Code under `#[cfg(test)]` is free.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a pure room may not name, as words of a path.
const IMPURE: [&str; 9] = [
    "tokio",
    "fs",
    "thread",
    "Instant",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
];

/// The modules of `lib.rs` that are not rooms but serve tests only; everything is open to them.
const FREE: [&str; 1] = ["testing"];

/// One row of the table.
#[derive(Debug, PartialEq)]
struct Room {
    floor: u32,
    pure: bool,
    sideways: BTreeSet<String>,
}

type House = BTreeMap<String, Room>;

#[test]
fn every_arrow_is_in_the_table() {
    let house = house();
    let mut wrong = Vec::new();
    for (file, room) in sources() {
        let text = fs::read_to_string(&file).expect("a source file is readable");
        wrong.extend(forbidden(&house, &file, &room, &text));
    }
    assert!(
        wrong.is_empty(),
        "arrows that ARCHITECTURE.md does not allow:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_table_lists_the_rooms_there_are() {
    let lib = without_tests(&without_comments(
        &fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs is readable"),
    ));
    let declared: BTreeSet<String> = lib
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .filter(|name| !FREE.contains(name))
        .map(str::to_owned)
        .collect();
    let listed: BTreeSet<String> = house().into_keys().filter(|room| room != "main").collect();
    assert_eq!(
        declared, listed,
        "src/lib.rs and the table in ARCHITECTURE.md differ"
    );
}

#[test]
fn sideways_arrows_stay_on_their_floor_and_make_no_circle() {
    let house = house();
    for (name, room) in &house {
        for target in &room.sideways {
            let floor = house.get(target).map(|room| room.floor);
            assert_eq!(
                floor,
                Some(room.floor),
                "{name} -> {target} is no sideways arrow"
            );
            assert!(
                !reaches(&house, target, name, house.len()),
                "{name} -> {target} closes a circle"
            );
        }
    }
}

fn reaches(house: &House, from: &str, to: &str, steps: usize) -> bool {
    from == to
        || steps > 0
            && house.get(from).is_some_and(|room| {
                room.sideways
                    .iter()
                    .any(|next| reaches(house, next, to, steps - 1))
            })
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn house() -> House {
    let document =
        fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    parse_table(&document)
}

/// The rows between the heading "Rooms and arrows" and the next heading.
fn parse_table(document: &str) -> House {
    let section = document
        .split("\n## ")
        .find(|section| section.starts_with("Rooms and arrows"))
        .expect("ARCHITECTURE.md has a section `Rooms and arrows`");
    let mut house = House::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, floor, kind, sideways, _purpose] = cells[..] else {
            panic!("a row of the table has five cells: {line}");
        };
        let room = Room {
            floor: floor
                .parse()
                .unwrap_or_else(|_| panic!("a floor is a number: {line}")),
            pure: match kind {
                "pure" => true,
                "seam" | "shell" => false,
                _ => panic!("a room is pure, seam or shell: {line}"),
            },
            sideways: sideways
                .split(',')
                .map(|name| name.trim().trim_matches('`').to_owned())
                .filter(|name| name != "–")
                .collect(),
        };
        let old = house.insert(name.trim_matches('`').to_owned(), room);
        assert!(old.is_none(), "a room has one row: {line}");
    }
    house
}

/// Every source file with the room it belongs to.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join("src")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a source folder is readable") {
            let path = entry.expect("a folder entry is readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") && !is_test_file(&path) {
                let room = module_path(&path).first().cloned().unwrap_or_default();
                found.push((path, room));
            }
        }
    }
    found.retain(|(_, room)| room != "lib" && !FREE.contains(&room.as_str()));
    found.sort();
    found
}

/// A file of its own for the tests of a module, declared under `#[cfg(test)]`.
fn is_test_file(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests")
        || path
            .parent()
            .is_some_and(|dir| dir.file_name().is_some_and(|name| name == "tests"))
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `["a", "b"]`.
fn module_path(file: &Path) -> Vec<String> {
    let inside = file
        .strip_prefix(root().join("src"))
        .unwrap_or(file)
        .with_extension("");
    let mut parts: Vec<String> = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// `file:line: room -> other` for each path in `text` that the house forbids.
fn forbidden(house: &House, file: &Path, room: &str, text: &str) -> Vec<String> {
    let code = without_tests(&without_comments(text));
    let shown = file.strip_prefix(root()).unwrap_or(file).display();
    let Some(own) = house.get(room) else {
        return vec![format!("{shown}:1: room `{room}` is not in the table")];
    };
    let mut wrong = Vec::new();
    for (line, target) in room_paths(&code, module_path(file).len()) {
        let allowed = target == room
            || house
                .get(&target)
                .is_some_and(|other| other.floor < own.floor || own.sideways.contains(&target));
        if !allowed {
            wrong.push(format!("{shown}:{line}: {room} -> {target}"));
        }
    }
    if own.pure {
        for (index, line) in code.lines().enumerate() {
            for word in words(line).filter(|word| IMPURE.contains(word)) {
                wrong.push(format!(
                    "{shown}:{}: {room} is pure but names `{word}`",
                    index + 1
                ));
            }
        }
    }
    wrong
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Line and room of each path from the crate's root. `depth` is how many `super` lead there.
fn room_paths(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in ["crate::", "natter::"] {
        for (at, _) in code.match_indices(start) {
            if !continues_word(code, at) {
                first_segments(code, at + start.len(), &mut found);
            }
        }
    }
    let climb = "super::".repeat(depth.max(1));
    for (at, _) in code.match_indices(&climb) {
        if !continues_word(code, at) && !code[..at].ends_with("super::") {
            first_segments(code, at + climb.len(), &mut found);
        }
    }
    found.retain(|(_, name)| {
        name.starts_with(|c: char| c.is_lowercase()) && name != "super" && name != "self"
    });
    found
}

fn continues_word(code: &str, at: usize) -> bool {
    code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        && !code[..at].ends_with("super::")
}

/// The first segment of the path at `at`; of each of its branches if a group begins there.
/// A segment that no `::` follows in a group is the room itself (`use crate::{clock}`).
fn first_segments(code: &str, at: usize, found: &mut Vec<(usize, String)>) {
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    let name_at = |at: usize| -> String {
        code[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    if !code[at..].starts_with('{') {
        found.push((line_of(at), name_at(at)));
        return;
    }
    let mut nested = 0;
    let mut expect_name = false;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' => nested += 1,
            '}' => nested -= 1,
            _ => {}
        }
        match c {
            '{' | ',' if nested == 1 => expect_name = true,
            _ if c.is_whitespace() => {}
            _ if expect_name && nested == 1 => {
                found.push((line_of(at + offset), name_at(at + offset)));
                expect_name = false;
            }
            _ => {}
        }
        if nested == 0 {
            return;
        }
    }
}

/// Comments and the text of literals become blanks; line numbers stay.
fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if let Some(hashes) = raw_string(bytes, at) {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = at + hashes + 2;
            text[body..]
                .find(&end)
                .map_or(rest.len(), |found| hashes + 2 + found + end.len())
        } else if rest[0] == b'"' {
            quoted(rest)
        } else if rest.starts_with(b"'\\") {
            rest.iter()
                .skip(3)
                .position(|b| *b == b'\'')
                .map_or(rest.len(), |end| end + 4)
        } else if rest.len() > 2 && rest[0] == b'\'' && rest[2] == b'\'' {
            3
        } else {
            at += 1;
            continue;
        };
        for byte in &mut out[at..at + length] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += length;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut nested) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (nested, at) = (nested + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (nested, at) = (nested - 1, at + 2);
        } else {
            at += 1;
        }
        if nested == 0 {
            return at;
        }
    }
    rest.len()
}

/// The number of `#` of a raw string that begins at `at`.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let after_r = bytes[at..].strip_prefix(b"r")?;
    let before = at.checked_sub(1).map(|i| bytes[i]);
    if before.is_some_and(|b| (b.is_ascii_alphanumeric() && b != b'b') || b == b'_') {
        return None;
    }
    let hashes = after_r.iter().take_while(|b| **b == b'#').count();
    (after_r.get(hashes) == Some(&b'"')).then_some(hashes)
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Every item under `#[cfg(test)]` becomes blanks; expects no comments in `code`.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for attribute in ["#[cfg(test)]", "#![cfg(test)]"] {
        while let Some(at) = out.find(attribute) {
            let mut nested = 0;
            let mut end = out.len();
            for (offset, c) in out[at + attribute.len()..].char_indices() {
                match c {
                    '{' | '(' | '[' => nested += 1,
                    '}' | ')' | ']' => nested -= 1,
                    _ => {}
                }
                if nested == 0 && matches!(c, ';' | '}') {
                    end = at + attribute.len() + offset + 1;
                    break;
                }
            }
            let blank: String = out[at..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' })
                .collect();
            out.replace_range(at..end, &blank);
        }
    }
    out
}

// The wall itself is tested: a scanner that finds nothing would allow everything.

fn check(file: &str, code: &str, expected: &[&str]) {
    let table = "\n## Rooms and arrows\n\
        | `clock` | 0 | seam | – | |\n\
        | `auth` | 1 | pure | `subject` | |\n\
        | `subject` | 1 | pure | – | |\n\
        | `server` | 4 | shell | – | |\n\
        | `main` | 5 | shell | – | |\n\n## Next\n";
    let file = root().join(file);
    let room = module_path(&file).remove(0);
    let found = forbidden(&parse_table(table), &file, &room, code);
    assert_eq!(found, expected, "{code}");
}

#[test]
fn down_and_listed_arrows_are_allowed() {
    check(
        "src/server/mod.rs",
        "use crate::auth::User;\nfn f() { crate::clock::now(); }",
        &[],
    );
    check(
        "src/auth/mod.rs",
        "use crate::subject::Subject;\nuse crate::auth::users;",
        &[],
    );
    check("src/main.rs", "fn main() { natter::server::run() }", &[]);
}

#[test]
fn other_arrows_are_found_wherever_they_stand() {
    check(
        "src/subject/mod.rs",
        "use crate::auth::User;",
        &["src/subject/mod.rs:1: subject -> auth"],
    );
    check(
        "src/subject/tokens.rs",
        "use crate::{\n    clock,\n    auth::{User, users},\n};",
        &["src/subject/tokens.rs:3: subject -> auth"],
    );
    check(
        "src/auth/users.rs",
        "fn f() -> Option<crate::server::Server> { None }\nuse super::super::server;",
        &[
            "src/auth/users.rs:1: auth -> server",
            "src/auth/users.rs:2: auth -> server",
        ],
    );
    check(
        "src/auth/mod.rs",
        "use super::server::Server;",
        &["src/auth/mod.rs:1: auth -> server"],
    );
    check(
        "src/kitchen/mod.rs",
        "",
        &["src/kitchen/mod.rs:1: room `kitchen` is not in the table"],
    );
}

#[test]
fn pure_rooms_name_no_runtime_and_no_clock() {
    check(
        "src/auth/mod.rs",
        "use tokio::net::TcpStream;",
        &[
            "src/auth/mod.rs:1: auth is pure but names `tokio`",
            "src/auth/mod.rs:1: auth is pure but names `TcpStream`",
        ],
    );
    check("src/clock.rs", "use std::time::Instant;", &[]);
}

#[test]
fn comments_strings_and_tests_are_no_arrows() {
    check(
        "src/subject/mod.rs",
        "// crate::auth\n/* crate::auth */ const A: &str = \"crate::auth \\\" \";",
        &[],
    );
    check(
        "src/subject/mod.rs",
        "const A: &str = r#\"crate::auth\"#; const B: char = '\"';",
        &[],
    );
    check(
        "src/subject/mod.rs",
        "#[cfg(test)]\nmod tests {\n    use crate::auth::User;\n}\n",
        &[],
    );
    check(
        "src/subject/mod.rs",
        "#[cfg(test)]\nuse crate::auth::User;\n",
        &[],
    );
    check(
        "src/subject/mod.rs",
        "#[cfg(test)]\nmod tests { fn f() { \"}\"; } }\nuse crate::auth::User;",
        &["src/subject/mod.rs:3: subject -> auth"],
    );
    check(
        "src/subject/mod.rs",
        "fn f<'a>(x: &'a str) {}\nuse crate::auth::User;",
        &["src/subject/mod.rs:2: subject -> auth"],
    );
}
