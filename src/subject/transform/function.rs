//! The functions a transform's destination may call, one token at a time.
//!
//! Separate from the transform because reading `{{name(arguments)}}` needs no source
//! and evaluating needs one token only. `read` turns the text of a destination token
//! into a `Call`; the transform resolves the call's wildcard numbers to positions and
//! evaluates with the functions below.
//!
//! Invariants: reading never panics and accepts exactly the spellings the peers accept
//! (only the first letter of each word of a name may be of either case); a size that is
//! zero, negative or beyond the token leaves the token whole.

use super::Problem;
use crate::subject::tokens::SEPARATOR;

/// A function call as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `$n` and `wildcard(n)`.
    Wildcard(i64),
    /// `partition(buckets, n…)`; without numbers the whole subject decides.
    Partition { buckets: u32, wildcards: Vec<i64> },
    /// One of the functions that cut a token at a distance.
    Cut {
        cut: Cut,
        wildcard: i64,
        size: usize,
    },
    /// `split(n, delimiter)`.
    Split { wildcard: i64, delimiter: Vec<u8> },
    /// `random(bound)`.
    Random { bound: u64 },
}

/// How a token is cut at a distance from one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    SplitFromLeft,
    SplitFromRight,
    SliceFromLeft,
    SliceFromRight,
    Left,
    Right,
}

const CUTS: [(&str, Cut); 6] = [
    ("SplitFromLeft", Cut::SplitFromLeft),
    ("SplitFromRight", Cut::SplitFromRight),
    ("SliceFromLeft", Cut::SliceFromLeft),
    ("SliceFromRight", Cut::SliceFromRight),
    ("Left", Cut::Left),
    ("Right", Cut::Right),
];

/// Whether a token has the form of a function call, be it known or not.
pub(super) fn is_call(token: &str) -> bool {
    token.len() > 4 && token.starts_with("{{") && token.ends_with("}}")
}

/// Reads one token of a destination; `None` if it is plain text.
pub(super) fn read(token: &str) -> Result<Option<Call>, Problem> {
    if let Some(number) = token.strip_prefix('$') {
        // Many subjects of the broker begin with `$`: what is no number is text.
        return Ok(number.parse().ok().map(Call::Wildcard));
    }
    if !is_call(token) {
        return Ok(None);
    }
    let text = token[2..token.len() - 2].trim_matches(is_space);
    let call = text.split_once('(').and_then(|(name, rest)| {
        let arguments = rest.strip_suffix(')')?;
        Some((name.trim_end_matches(is_space), arguments))
    });
    let Some((name, arguments)) = call else {
        return Err(Problem::UnknownFunction);
    };
    let arguments: Vec<&str> = arguments
        .split(',')
        .enumerate()
        .map(|(position, argument)| match position {
            0 => argument,
            _ => argument.trim_start_matches(is_space),
        })
        .collect();
    read_call(name, &arguments).map(Some)
}

fn read_call(name: &str, arguments: &[&str]) -> Result<Call, Problem> {
    if is_named(name, "Wildcard") {
        return match arguments {
            [""] | [] => Err(Problem::NotEnoughArguments),
            [wildcard] => Ok(Call::Wildcard(number(wildcard)?)),
            _ => Err(Problem::TooManyArguments),
        };
    }
    if is_named(name, "Partition") {
        let (buckets, wildcards) = arguments.split_first().ok_or(Problem::NotEnoughArguments)?;
        return Ok(Call::Partition {
            // A negative count wraps, as it does for the peers.
            buckets: small_number(buckets)? as u32,
            wildcards: wildcards
                .iter()
                .map(|n| number(n))
                .collect::<Result<_, _>>()?,
        });
    }
    if is_named(name, "Random") {
        return match arguments {
            [bound] => Ok(Call::Random {
                bound: u64::from(small_number(bound)?.unsigned_abs()),
            }),
            _ => Err(Problem::NotEnoughArguments),
        };
    }
    if is_named(name, "Split") {
        let (wildcard, delimiter) = two(arguments)?;
        let wildcard = number(wildcard)?;
        if delimiter.contains([' ', '.']) {
            return Err(Problem::InvalidArgument);
        }
        let delimiter = delimiter.as_bytes().to_vec();
        return Ok(Call::Split {
            wildcard,
            delimiter,
        });
    }
    let Some((_, cut)) = CUTS.iter().find(|(known, _)| is_named(name, known)) else {
        return Err(Problem::UnknownFunction);
    };
    let (wildcard, size) = two(arguments)?;
    Ok(Call::Cut {
        cut: *cut,
        wildcard: number(wildcard)?,
        size: usize::try_from(small_number(size)?).unwrap_or(0),
    })
}

/// Whether `name` is `known`, where capitals of `known` may be written small.
fn is_named(name: &str, known: &str) -> bool {
    let same = |(written, expected): (u8, u8)| {
        written == expected
            || (expected.is_ascii_uppercase() && written == expected.to_ascii_lowercase())
    };
    name.len() == known.len() && name.bytes().zip(known.bytes()).all(same)
}

fn two<'a>(arguments: &[&'a str]) -> Result<(&'a str, &'a str), Problem> {
    match arguments {
        [first, second] => Ok((first, second)),
        [] | [_] => Err(Problem::NotEnoughArguments),
        _ => Err(Problem::TooManyArguments),
    }
}

fn number(text: &str) -> Result<i64, Problem> {
    let text = text.trim_matches(' ');
    text.parse().map_err(|_| Problem::InvalidArgument)
}

fn small_number(text: &str) -> Result<i32, Problem> {
    i32::try_from(number(text)?).map_err(|_| Problem::InvalidArgument)
}

pub(super) fn is_space(symbol: char) -> bool {
    matches!(symbol, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// The bucket of a key given in parts: FNV-1a of 32 bits, modulo the count.
pub(super) fn partition<'a>(key: impl Iterator<Item = &'a [u8]>, buckets: u32) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = key.flatten().fold(0x811c_9dc5, step);
    hash.checked_rem(buckets).unwrap_or(0)
}

/// Appends what `cut` makes of `token`.
pub(super) fn cut(cut: Cut, token: &[u8], size: usize, out: &mut Vec<u8>) {
    if size == 0 || size >= token.len() {
        out.extend_from_slice(token);
        return;
    }
    let from_right = token.len() - size;
    match cut {
        Cut::Left => out.extend_from_slice(&token[..size]),
        Cut::Right => out.extend_from_slice(&token[from_right..]),
        Cut::SplitFromLeft => join([&token[..size], &token[size..]], out),
        Cut::SplitFromRight => join([&token[..from_right], &token[from_right..]], out),
        Cut::SliceFromLeft => join(token.chunks(size), out),
        Cut::SliceFromRight => {
            let (head, slices) = token.split_at(token.len() % size);
            let head = Some(head).filter(|head| !head.is_empty());
            join(head.into_iter().chain(slices.chunks(size)), out);
        }
    }
}

/// Appends `token` with a dot for each `delimiter`, none at its ends.
///
/// The dot before a piece is left out if the piece is empty, or if it is the second and
/// the first was empty. Hence a token of delimiters only, or one that begins with two,
/// yields an empty token and a subject that reaches nobody, as with the peers.
pub(super) fn split(token: &[u8], delimiter: &[u8], out: &mut Vec<u8>) {
    if delimiter.is_empty() {
        return join(characters(token), out);
    }
    let mut rest = token;
    let mut leading = token.starts_with(delimiter);
    for position in 0.. {
        let found = memchr::memmem::find(rest, delimiter);
        let piece = &rest[..found.unwrap_or(rest.len())];
        if position > 0 {
            if !piece.is_empty() && !leading {
                out.push(SEPARATOR);
            }
            leading = false;
        }
        out.extend_from_slice(piece);
        match found {
            Some(at) => rest = &rest[at + delimiter.len()..],
            None => return,
        }
    }
}

/// The UTF-8 characters of a token; bytes that are none stand alone.
fn characters(token: &[u8]) -> impl Iterator<Item = &[u8]> {
    token.utf8_chunks().flat_map(|chunk| {
        let text = chunk.valid();
        let valid = text
            .char_indices()
            .map(move |(at, symbol)| &text.as_bytes()[at..at + symbol.len_utf8()]);
        valid.chain(chunk.invalid().chunks(1))
    })
}

fn join<'a>(tokens: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (position, token) in tokens.into_iter().enumerate() {
        if position > 0 {
            out.push(SEPARATOR);
        }
        out.extend_from_slice(token);
    }
}
