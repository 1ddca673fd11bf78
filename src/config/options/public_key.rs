//! Public keys as they are written: base32 of a prefix, the key and a checksum.
//!
//! Separate because five sections name keys of other parties and must refuse a mistyped one
//! before the server starts. Absent: no signature is verified here; `auth` does that.

/// What a public key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `O…`
    Operator,
    /// `A…`
    Account,
    /// `U…`
    User,
    /// `N…`
    Server,
    /// `C…`
    Cluster,
    /// `X…`
    Curve,
}

/// Bytes of a decoded key: prefix, key, checksum.
const DECODED_LEN: usize = 1 + 32 + 2;

impl KeyKind {
    /// The kind of a public key; `None` if the text is none.
    pub fn of(text: &str) -> Option<Self> {
        let decoded = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).ok()?;
        if decoded.len() != DECODED_LEN {
            return None;
        }
        let (body, checksum) = decoded.split_at(DECODED_LEN - 2);
        if checksum != crc16(body).to_le_bytes() {
            return None;
        }
        // The prefix is chosen so that the first letter of the text names the kind.
        match (body.first()? >> 3, body.first()? & 7) {
            (14, 0) => Some(KeyKind::Operator),
            (0, 0) => Some(KeyKind::Account),
            (20, 0) => Some(KeyKind::User),
            (13, 0) => Some(KeyKind::Server),
            (2, 0) => Some(KeyKind::Cluster),
            (23, 0) => Some(KeyKind::Curve),
            _ => None,
        }
    }
}

/// CRC-16 with polynomial 0x1021 and initial value 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_prefix_and_checksum() {
        for (text, expected) in [
            (
                "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
                Some(KeyKind::User),
            ),
            (
                "ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA",
                Some(KeyKind::Account),
            ),
            (
                "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF5",
                None,
            ),
            (
                "udxu4rcsjnzoiqhznwxhxordprtgnjahahfrgzneejcpqtt2m7nlcnf4",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(KeyKind::of(text), expected, "{text}");
        }
    }
}
