//! Header blocks that carry a status, as pull requests and reads are answered with.

/// A block with only a status: `404 No Messages`.
pub fn line(status: &str) -> Vec<u8> {
    with(status, &[])
}

/// A block with a status and fields.
pub fn with(status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::with_capacity(64);
    block.extend_from_slice(b"NATS/1.0");
    if !status.is_empty() {
        block.push(b' ');
        block.extend_from_slice(status.as_bytes());
    }
    block.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        push(&mut block, name, value.as_bytes());
    }
    block.extend_from_slice(b"\r\n");
    block
}

/// Appends `name: value`.
pub fn push(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.extend_from_slice(name.as_bytes());
    block.extend_from_slice(b": ");
    block.extend_from_slice(value);
    block.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_block_is_the_wires() {
        assert_eq!(line("404 No Messages"), b"NATS/1.0 404 No Messages\r\n\r\n");
        assert_eq!(
            with("204 EOB", &[("A", "1")]),
            b"NATS/1.0 204 EOB\r\nA: 1\r\n\r\n"
        );
        assert_eq!(with("", &[("A", "1")]), b"NATS/1.0\r\nA: 1\r\n\r\n");
    }
}
