//! Transforms: one subject made out of another, for mappings and imports.
//!
//! Separate because mappings, imports, and later streams share the same small
//! language: a *source* filter and a *destination* whose tokens are text, `$n`, or
//! `{{function(arguments)}}` over the wildcards of the source.
//!
//! ```text
//!   orders.*.*   ->   shard.{{partition(3,1)}}.$2.$1
//!   orders.eu.7  ->   shard.1.7.eu
//! ```
//!
//! A destination is read once into parts; applying splits the subject and writes part
//! after part. A subject is taken if the source *covers* it, so wildcards in a subject
//! are carried through (`$1` of `foo.*` may be `*`), which is what imports rely on.
//!
//! Invariants: `>` is on both sides or on none; a bare `*` is never in a destination;
//! applying is a function of the subject and of the random numbers handed in. Three
//! constructors, from lenient to strict: `new`, `mapping` (what a configuration may
//! write), `strict` (reversible, for imports). Absent: weights and the choice among
//! destinations, which belong to accounts.

mod function;
#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use super::tokens::{self, SEPARATOR};
use super::wildcard::covers;
use function::{Call, Cut};

/// A source of random numbers: handed a bound, returns a number below it.
pub type RandomBelow<'a> = &'a mut dyn FnMut(u64) -> u64;

/// A rule that makes a subject out of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    source: String,
    destination: String,
    parts: Vec<Part>,
}

/// One token of the destination; numbers are positions of tokens in the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Token(usize),
    Partition {
        buckets: u32,
        tokens: Vec<usize>,
    },
    Cut {
        cut: Cut,
        token: usize,
        size: usize,
    },
    Split {
        token: usize,
        delimiter: Vec<u8>,
    },
    Random {
        bound: u64,
    },
    /// All tokens from this one on.
    Tail(usize),
}

/// Why a transform cannot be made. The texts are the ones operators know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// Source or destination is no valid subject, or they do not fit together.
    #[error("invalid subject")]
    InvalidSubject,
    /// Something in the destination is wrong.
    #[error("invalid mapping destination: {problem}{}", Place(.token))]
    Destination {
        /// What is wrong.
        problem: Problem,
        /// The token, or empty if there is none to show.
        token: String,
    },
}

/// What is wrong with a token of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// An empty token, white space, or a token after `>`.
    #[error("invalid transform")]
    InvalidTransform,
    /// A reversible transform leaves a wildcard of its source out.
    #[error("not using all of the token wildcard(s)")]
    NotUsingAllWildcards,
    /// No function has this name.
    #[error("unknown function")]
    UnknownFunction,
    /// The source has fewer wildcards.
    #[error("wildcard index out of range")]
    WildcardOutOfRange,
    /// An argument is missing.
    #[error("not enough arguments passed to the function")]
    NotEnoughArguments,
    /// An argument is no number, is too large, or contains what it must not.
    #[error("function argument is invalid or in the wrong format")]
    InvalidArgument,
    /// There is an argument too many.
    #[error("too many arguments passed to the function")]
    TooManyArguments,
    /// A reversible transform calls another function.
    #[error("the only mapping function allowed for import transforms is {{{{Wildcard()}}}}")]
    OnlyWildcardInImports,
}

impl Problem {
    fn at(self, token: impl Into<String>) -> TransformError {
        TransformError::Destination {
            problem: self,
            token: token.into(),
        }
    }
}

struct Place<'a>(&'a str);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => Ok(()),
            token => write!(f, " in {token}"),
        }
    }
}

impl Transform {
    /// A transform from subjects covered by `source`; an empty source stands for `>`.
    ///
    /// Errors if either side is no valid subject, if only one has `>`, if the
    /// destination has a bare `*`, or if a call in it is wrong.
    pub fn new(source: &str, destination: &str) -> Result<Self, TransformError> {
        let source = if source.is_empty() { ">" } else { source };
        let has_tail = |subject: &str| tokens::split(subject.as_bytes()).any(|t| t == tokens::TAIL);
        let valid = tokens::is_valid_subscribe(source.as_bytes())
            && tokens::is_valid_subscribe(destination.as_bytes())
            && has_tail(source) == has_tail(destination)
            && !destination.split('.').any(|token| token == "*");
        if !valid {
            return Err(TransformError::InvalidSubject);
        }
        let resolver = Resolver::new(source);
        let parts = destination.split('.').map(|token| resolver.part(token));
        Ok(Transform {
            source: source.to_owned(),
            destination: destination.to_owned(),
            parts: parts.collect::<Result<_, _>>()?,
        })
    }

    /// A transform as a configuration may write it: `new`, and no white space outside
    /// of calls. Errors name the offending token where `new` only sees a bad subject.
    pub fn mapping(source: &str, destination: &str) -> Result<Self, TransformError> {
        let mut after_tail = false;
        for token in destination.split('.') {
            if token.is_empty() || after_tail {
                return Err(Problem::InvalidTransform.at(token));
            }
            if function::is_call(token) {
                function::read(token).map_err(|problem| problem.at(token))?;
            } else if token.contains(function::is_space) {
                return Err(Problem::InvalidTransform.at(""));
            }
            after_tail = token == ">";
        }
        Transform::new(source, destination)
    }

    /// A reversible transform, for the `to` of an import: it calls `wildcard` only, and
    /// uses every wildcard of its source.
    pub fn strict(source: &str, destination: &str) -> Result<Self, TransformError> {
        for token in destination.split('.') {
            match function::read(token).map_err(|problem| problem.at(token))? {
                None | Some(Call::Wildcard(_)) => {}
                Some(_) => return Err(Problem::OnlyWildcardInImports.at(token)),
            }
        }
        let transform = Transform::new(source, destination)?;
        let stars = star_positions(&transform.source);
        let used = |star: &usize| transform.parts.contains(&Part::Token(*star));
        if !stars.iter().all(used) {
            return Err(Problem::NotUsingAllWildcards.at(destination));
        }
        Ok(transform)
    }

    /// The filter of the subjects it takes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The destination as written.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Whether it takes this subject.
    pub fn takes(&self, subject: &[u8]) -> bool {
        covers(self.source.as_bytes(), subject)
    }

    /// The new subject, or `None` if it does not take this one.
    pub fn apply(&self, subject: &[u8], random: RandomBelow<'_>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.apply_into(subject, random, &mut out).then_some(out)
    }

    /// Writes the new subject over `out`; leaves it empty and returns false if it does
    /// not take `subject`.
    pub fn apply_into(&self, subject: &[u8], random: RandomBelow<'_>, out: &mut Vec<u8>) -> bool {
        out.clear();
        if !self.takes(subject) {
            return false;
        }
        let tokens: SmallVec<[&[u8]; 16]> = tokens::split(subject).collect();
        for (position, part) in self.parts.iter().enumerate() {
            if position > 0 {
                out.push(SEPARATOR);
            }
            part.write(subject, &tokens, random, out);
        }
        true
    }

    /// The transform that leads back, for any transform that `strict` makes.
    ///
    /// `None` if a wildcard of the source is lost on the way or a call is not
    /// `wildcard`.
    pub fn reverse(&self) -> Option<Self> {
        let tokens: Vec<&str> = self.source.split('.').collect();
        let mut source = Vec::new();
        for part in &self.parts {
            source.push(match part {
                Part::Text(text) => std::str::from_utf8(text).ok()?,
                Part::Token(position) => tokens.get(*position)?,
                Part::Tail(_) => ">",
                _ => return None,
            });
        }
        let stars = star_positions(&source.join("."));
        let mut parts = Vec::new();
        let mut destination = Vec::new();
        for (position, token) in tokens.iter().enumerate() {
            let back = |part: &Part| *part == Part::Token(position);
            match *token {
                "*" => {
                    let from = self.parts.iter().position(back)?;
                    let number = stars.iter().position(|star| *star == from)?;
                    destination.push(format!("${}", number + 1));
                    parts.push(Part::Token(from));
                }
                ">" => {
                    destination.push(">".to_owned());
                    parts.push(Part::Tail(source.len() - 1));
                }
                text => {
                    destination.push(text.to_owned());
                    parts.push(Part::Text(text.as_bytes().to_vec()));
                }
            }
        }
        Some(Transform {
            source: source.join("."),
            destination: destination.join("."),
            parts,
        })
    }
}

/// Numbers the wildcards of an import's `to`: `foo.*.bar.*` becomes `foo.$1.bar.$2`.
pub fn number_wildcards(destination: &str) -> String {
    let mut number = 0;
    let numbered = destination.split('.').map(|token| match token {
        "*" => {
            number += 1;
            format!("${number}")
        }
        text => text.to_owned(),
    });
    numbered.collect::<Vec<_>>().join(".")
}

impl Part {
    fn write(&self, subject: &[u8], tokens: &[&[u8]], random: RandomBelow<'_>, out: &mut Vec<u8>) {
        let token = |position: &usize| tokens.get(*position).copied().unwrap_or_default();
        match self {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Token(position) => out.extend_from_slice(token(position)),
            Part::Partition { buckets, tokens } if tokens.is_empty() => {
                let bucket = function::partition([subject].into_iter(), *buckets);
                out.extend_from_slice(bucket.to_string().as_bytes());
            }
            Part::Partition { buckets, tokens } => {
                let bucket = function::partition(tokens.iter().map(token), *buckets);
                out.extend_from_slice(bucket.to_string().as_bytes());
            }
            Part::Cut {
                cut,
                token: at,
                size,
            } => function::cut(*cut, token(at), *size, out),
            Part::Split {
                token: at,
                delimiter,
            } => function::split(token(at), delimiter, out),
            Part::Random { bound } => {
                let number = if *bound == 0 { 0 } else { random(*bound) };
                out.extend_from_slice(number.to_string().as_bytes());
            }
            Part::Tail(from) => {
                let skipped: usize = tokens.iter().take(*from).map(|token| token.len() + 1).sum();
                out.extend_from_slice(subject.get(skipped..).unwrap_or_default());
            }
        }
    }
}

/// Turns wildcard numbers of one source into token positions.
struct Resolver {
    stars: Vec<usize>,
    tokens_len: usize,
    is_literal: bool,
}

impl Resolver {
    fn new(source: &str) -> Self {
        Resolver {
            stars: star_positions(source),
            tokens_len: tokens::count(source.as_bytes()),
            is_literal: tokens::is_literal(source.as_bytes()),
        }
    }

    fn part(&self, token: &str) -> Result<Part, TransformError> {
        if token == ">" {
            return Ok(Part::Tail(self.tokens_len - 1));
        }
        let Some(call) = function::read(token).map_err(|problem| problem.at(token))? else {
            return Ok(Part::Text(token.as_bytes().to_vec()));
        };
        Ok(match call {
            Call::Random { bound } => Part::Random { bound },
            // A literal source has nothing to choose from: its whole text decides.
            Call::Partition { buckets, .. } if self.is_literal => Part::Partition {
                buckets,
                tokens: Vec::new(),
            },
            Call::Partition { buckets, wildcards } => {
                let tokens = wildcards.iter().map(|number| self.position(*number, token));
                let tokens = tokens.collect::<Result<_, _>>()?;
                Part::Partition { buckets, tokens }
            }
            Call::Wildcard(wildcard) => Part::Token(self.position(wildcard, token)?),
            Call::Cut {
                cut,
                wildcard,
                size,
            } => {
                let token = self.position(wildcard, token)?;
                Part::Cut { cut, token, size }
            }
            Call::Split {
                wildcard,
                delimiter,
            } => {
                let token = self.position(wildcard, token)?;
                Part::Split { token, delimiter }
            }
        })
    }

    /// The position of the wildcard with this number, counted from one. The peers take
    /// zero and below for the subject's first token, and so do we.
    fn position(&self, number: i64, token: &str) -> Result<usize, TransformError> {
        if self.is_literal {
            return Err(Problem::WildcardOutOfRange.at(token));
        }
        let Some(index) = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)) else {
            return Ok(0);
        };
        let out_of_range = || Problem::WildcardOutOfRange.at(format!("{token}: [{number}]"));
        self.stars.get(index).copied().ok_or_else(out_of_range)
    }
}

fn star_positions(filter: &str) -> Vec<usize> {
    let tokens = filter.split('.').enumerate();
    let stars = tokens.filter(|(_, token)| *token == "*");
    stars.map(|(position, _)| position).collect()
}
