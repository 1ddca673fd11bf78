//! Nkeys: ed25519 keys in the text form NATS gives them.
//!
//! A public key is `base32(prefix byte ‖ 32 bytes ‖ CRC-16)`, so that its first letter tells
//! what it belongs to; a seed is the same with `S` in front of that letter. The checksum is
//! CRC-16/XMODEM, little-endian; base32 has no padding.
//!
//! Absent: no randomness (a key pair is made from 32 bytes the caller brings) and no curve
//! operations: `X` keys are encoded and decoded, never used.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

const SEED_PREFIX: u8 = 18 << 3;
const KEY_LEN: usize = 32;
const PUBLIC_LEN: usize = 1 + KEY_LEN + 2;
const SEED_LEN: usize = 2 + KEY_LEN + 2;

/// What a key belongs to; the first letter of its public text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `A`: an account.
    Account,
    /// `C`: a cluster.
    Cluster,
    /// `N`: a server.
    Server,
    /// `O`: an operator.
    Operator,
    /// `U`: a user.
    User,
    /// `X`: an encryption key.
    Curve,
}

impl Role {
    const ALL: [Role; 6] = [
        Role::Account,
        Role::Cluster,
        Role::Server,
        Role::Operator,
        Role::User,
        Role::Curve,
    ];

    const fn prefix(self) -> u8 {
        match self {
            Role::Account => 0,
            Role::Cluster => 2 << 3,
            Role::Server => 13 << 3,
            Role::Operator => 14 << 3,
            Role::User => 20 << 3,
            Role::Curve => 23 << 3,
        }
    }

    fn from_prefix(prefix: u8) -> Option<Role> {
        Self::ALL.into_iter().find(|role| role.prefix() == prefix)
    }
}

/// Why a text is not the key it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NkeyError {
    /// The text is not base32 of the right length.
    #[error("invalid encoded key")]
    Encoding,
    /// The checksum does not fit: a typing error, most likely.
    #[error("invalid checksum")]
    Checksum,
    /// The prefix is not one of a known role.
    #[error("invalid prefix byte")]
    Prefix,
}

/// The text of a public key.
pub fn encode_public(role: Role, key: &[u8; KEY_LEN]) -> String {
    let mut bytes = Vec::with_capacity(PUBLIC_LEN);
    bytes.push(role.prefix());
    bytes.extend_from_slice(key);
    encode(bytes)
}

/// The role and the bytes of a public key.
pub fn decode_public(text: &str) -> Result<(Role, [u8; KEY_LEN]), NkeyError> {
    let bytes: [u8; PUBLIC_LEN] = decode(text)?;
    let role = Role::from_prefix(bytes[0]).ok_or(NkeyError::Prefix)?;
    Ok((role, key_bytes(&bytes[1..])))
}

/// The text is a public key of that role.
pub fn is_public(role: Role, text: &str) -> bool {
    decode_public(text).is_ok_and(|(found, _)| found == role)
}

/// `signature` was made over `message` by the owner of the public key, whatever its role.
pub fn verify(public_key: &str, message: &[u8], signature: &[u8]) -> bool {
    let Ok((role, key)) = decode_public(public_key) else {
        return false;
    };
    role != Role::Curve
        && UnparsedPublicKey::new(&ED25519, key)
            .verify(message, signature)
            .is_ok()
}

/// A key pair that signs.
pub struct KeyPair {
    role: Role,
    seed: [u8; KEY_LEN],
    pair: Ed25519KeyPair,
    public_key: String,
}

impl KeyPair {
    /// The pair that belongs to 32 random bytes.
    pub fn from_random(role: Role, seed: [u8; KEY_LEN]) -> KeyPair {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .expect("every seed of 32 bytes is an ed25519 key");
        let public: [u8; KEY_LEN] = key_bytes(pair.public_key().as_ref());
        KeyPair {
            role,
            seed,
            pair,
            public_key: encode_public(role, &public),
        }
    }

    /// The pair of a seed text (`SU…`, `SA…`, …).
    pub fn from_seed(text: &str) -> Result<KeyPair, NkeyError> {
        let bytes: [u8; SEED_LEN] = decode(text)?;
        // The role's five bits straddle the first two bytes.
        if bytes[0] & 0b1111_1000 != SEED_PREFIX {
            return Err(NkeyError::Prefix);
        }
        let prefix = (bytes[0] & 0b111) << 5 | (bytes[1] & 0b1111_1000) >> 3;
        let role = Role::from_prefix(prefix).ok_or(NkeyError::Prefix)?;
        Ok(KeyPair::from_random(role, key_bytes(&bytes[2..])))
    }

    /// The public key as text.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The seed as text. A secret.
    pub fn seed(&self) -> String {
        let prefix = self.role.prefix();
        let mut bytes = Vec::with_capacity(SEED_LEN);
        bytes.push(SEED_PREFIX | prefix >> 5);
        bytes.push((prefix & 0b1_1111) << 3);
        bytes.extend_from_slice(&self.seed);
        encode(bytes)
    }

    /// The signature over `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair
            .sign(message)
            .as_ref()
            .try_into()
            .expect("an ed25519 signature has 64 bytes")
    }
}

/// Shows the public key, never the seed.
impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public_key).finish()
    }
}

/// The key at the start of `bytes`, which callers cut from arrays that are long enough.
fn key_bytes(bytes: &[u8]) -> [u8; KEY_LEN] {
    *bytes.first_chunk().expect("callers pass at least 32 bytes")
}

fn encode(mut bytes: Vec<u8>) -> String {
    let checksum = crc16(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    BASE32_NOPAD.encode(&bytes)
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], NkeyError> {
    if text.len() != BASE32_NOPAD.encode_len(N) {
        return Err(NkeyError::Encoding);
    }
    let bytes = BASE32_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| NkeyError::Encoding)?;
    let bytes: [u8; N] = bytes.try_into().map_err(|_| NkeyError::Encoding)?;
    let (body, checksum) = bytes.split_at(N - 2);
    if crc16(body).to_le_bytes() != checksum {
        return Err(NkeyError::Checksum);
    }
    Ok(bytes)
}

/// CRC-16/XMODEM: polynomial 0x1021, start 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            let carry = crc & 0x8000 != 0;
            crc << 1 ^ if carry { 0x1021 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use proptest::prelude::*;

    use super::*;

    const ROLES: [(Role, char); 6] = [
        (Role::Account, 'A'),
        (Role::Cluster, 'C'),
        (Role::Server, 'N'),
        (Role::Operator, 'O'),
        (Role::User, 'U'),
        (Role::Curve, 'X'),
    ];

    #[test]
    fn first_letters_tell_the_role() {
        for (role, letter) in ROLES {
            let pair = KeyPair::from_random(role, [7; 32]);
            assert!(pair.public_key().starts_with(letter));
            assert!(pair.seed().starts_with(&format!("S{letter}")));
            assert!(is_public(role, pair.public_key()));
            assert_eq!(
                KeyPair::from_seed(&pair.seed()).unwrap().public_key(),
                pair.public_key()
            );
        }
    }

    #[test]
    fn known_keys_and_signatures_agree() {
        // Made with the Python package `nkeys` 0.2: role, seed, public key, signature of "nonce".
        let rows = [
            (
                Role::User,
                "SUAAABYOCUOCGKRRHA7UMTKULNRGS4DXP2CYZE42UGUK7NV5YTF5FWIXJQ",
                "UBGQ5Q5A2A76774TVG6M4KREWQDNI32EV37R654H3LW3CPFK7JACYEW2",
                "ismbfl/SCTow6f1ov90i+AWPOF/TEPVKEIo1fX9k9QAPVUkSgkwvjoLIJ2/yqQCfG9E9XO0x4fL0sDpZ5HnDDw==",
            ),
            (
                Role::Account,
                "SAAB6JRNGQ5UESKQK5PGK3DTPKAYRD4WTWSKXMVZYDD45VO44PVPD6DOBM",
                "AAF5G2S5PQSYOGJYNN7TA7NDSBDHLY7535EZQGGROUEXUQR5HPOM72RC",
                "dO0zJtV0RIo8OaNwKplkUU0JOVqJ6QUc8nGfYpqLJq54C41UEShS8xzhRU1vFsEkLydyiX9y0R2dKvb6q+lNBw==",
            ),
            (
                Role::Server,
                "SNAD4RKMKNNGC2DPOZ6YJC4STGQKPLVVXTB4VUOY37TO35H3AIERAFZIAA",
                "NBQEJAULHT5YVPRTY4EYNKKR765U5LX5Q5SPZQCT7FX5LUV64RXITZ2O",
                "gyf5FEyIRObSDM2eG6QA3/AzIFhEyPnV8LaV7qHz6MrrbGwI4NzAyOMe+i/iCUz8cqLMfSvItIMmiVSeH3XlBA==",
            ),
            (
                Role::Operator,
                "SOAF2ZDLOJ4YBB4OSWOKHKVRXC74NTOU3PROT4HX7YCQYEY2EEUC6NQZRE",
                "OCFXGGTD3WPEA5MAUVFY5FALN5UNA4UE2NMUDIWQHSBMY3PQU3AYIZKN",
                "msEVV2pvga3kei0qnPvKvNdZNbHt2dXKF9Wd6tV0txqVeaTNwBltrd186f/arpPMMWfSssYp6lGuooz3YCDGCg==",
            ),
            (
                Role::Cluster,
                "SCAHZA4KSGMJ7JVNWS54FSOQ27POL3HT7IAQQDYWDUSCWMRZIBDU4VJ5GI",
                "CBPHXNHVFBP64P6HJTC6E5CYNILTD7OULAD2KFESVQFCJJ2O6KFULUDD",
                "CQuiE3XxmuNDndekoVKtJ5MM5HQtYlNXh2dr/yzUFTkR1r/veuDAHojZe5mxAN617TIIFTQaip5QYE8F15ZcBA==",
            ),
        ];
        for (index, (role, seed, public, signature)) in (0u8..).zip(rows) {
            let signature = BASE64.decode(signature.as_bytes()).unwrap();
            let raw = std::array::from_fn(|i| (usize::from(index) * 31 + i * 7) as u8);
            let pair = KeyPair::from_random(role, raw);
            assert_eq!(pair.seed(), seed);
            assert_eq!(pair.public_key(), public);
            assert_eq!(pair.sign(b"nonce")[..], signature);
            assert_eq!(KeyPair::from_seed(seed).unwrap().public_key(), public);
            assert!(verify(public, b"nonce", &signature));
            assert!(!verify(public, b"nonsense", &signature));
        }
    }

    #[test]
    fn damaged_texts_are_refused() {
        let pair = KeyPair::from_random(Role::User, [1; 32]);
        let public = pair.public_key();
        let check = |text: &str, error| assert_eq!(decode_public(text), Err(error), "{text}");
        check("", NkeyError::Encoding);
        check(&public[1..], NkeyError::Encoding);
        check(&public.to_lowercase(), NkeyError::Encoding);
        check(&format!("{public}A"), NkeyError::Encoding);
        check(&pair.seed(), NkeyError::Encoding);
        let swapped: String = public[..10]
            .chars()
            .chain(public[10..].chars().rev())
            .collect();
        check(&swapped, NkeyError::Checksum);
        let unknown = encode([vec![1 << 3], vec![0; 32]].concat());
        check(&unknown, NkeyError::Prefix);
        let public_as_seed = KeyPair::from_seed(public).map(|_| ());
        assert_eq!(public_as_seed, Err(NkeyError::Encoding));
    }

    #[test]
    fn debug_hides_the_seed() {
        let pair = KeyPair::from_random(Role::User, [1; 32]);
        assert_eq!(
            format!("{pair:?}"),
            format!("KeyPair({:?})", pair.public_key())
        );
    }

    proptest! {
        #[test]
        fn only_the_signed_message_verifies(seed: [u8; 32], message: Vec<u8>, other: Vec<u8>) {
            let pair = KeyPair::from_random(Role::User, seed);
            let signature = pair.sign(&message);
            prop_assert!(verify(pair.public_key(), &message, &signature));
            prop_assert_eq!(verify(pair.public_key(), &other, &signature), message == other);
            prop_assert!(!verify(pair.public_key(), &message, &signature[1..]));
        }

        #[test]
        fn any_text_decodes_or_is_refused(text in "\\PC{0,60}", letters in "[A-Z2-7]{56,58}") {
            let _ = decode_public(&text);
            let _ = decode_public(&letters);
            let _ = KeyPair::from_seed(&letters).map(|_| ());
        }
    }
}
