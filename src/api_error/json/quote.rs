//! Quoted text as the texts of errors have it.

use std::fmt::Write as _;

/// `text` between double quotes, with escapes for what is not to be seen.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            _ => push(&mut out, c),
        }
    }
    out.push('"');
    out
}

/// One character between single quotes; the double quote stands for itself.
pub fn quoted_char(c: char) -> String {
    let mut out = String::from("'");
    match c {
        '\'' => out.push_str("\\'"),
        _ => push(&mut out, c),
    }
    out.push('\'');
    out
}

fn push(out: &mut String, c: char) {
    let escape = match c {
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '"' | '\'' => return out.push(c),
        // One character is printed as itself, everything else in some notation of its own.
        _ if c.escape_debug().count() == 1 => return out.push(c),
        _ => {
            let code = u32::from(c);
            let _ = match code {
                0..0x80 => write!(out, "\\x{code:02x}"),
                0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
            return;
        }
    };
    out.push_str(escape);
}
