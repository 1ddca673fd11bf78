//! What an operator should know about a configuration that does start.

use super::{Findings, users};
use crate::auth::users::Login;
use crate::config::error::ConfigError;
use crate::config::options::{Options, tls};

/// A payload above this is discouraged.
const PAYLOAD_WARN_ABOVE: u32 = 8 * 1024 * 1024;

/// What an operator should know, although the server starts.
pub fn warnings(options: &Options) -> Vec<ConfigError> {
    let mut findings = Findings {
        options,
        errors: Vec::new(),
    };
    let f = &mut findings;
    f.add_if(
        options.limits.max_payload > PAYLOAD_WARN_ABOVE,
        &["max_payload"],
        "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance",
    );
    f.add_if(
        options.limits.max_connections <= 0,
        &["max_connections"],
        "max_connections of 0 or less refuses every client",
    );
    f.add_if(
        has_plain_password(options),
        &[],
        "Plaintext passwords detected, use nkeys or bcrypt",
    );
    f.add_if(
        options.limits.disable_sublist_cache,
        &["disable_sublist_cache"],
        "disable_sublist_cache has no effect: match results are cached per connection and always fresh",
    );
    f.add_if(
        options.jetstream.feature_flags.iter().any(|(_, on)| *on),
        &["feature_flags"],
        "feature_flags has no effect: this server has no such switches",
    );
    f.add_if(
        options.listen.allow_non_tls && options.tls.is_none(),
        &["allow_non_tls"],
        "allow_non_tls has no effect without tls",
    );
    let suites = options
        .tls
        .as_ref()
        .map_or(&[][..], |tls| &tls.cipher_suites);
    f.add_if(
        suites.iter().any(|name| !tls::is_spoken(name)),
        &["tls.cipher_suites"],
        "some cipher_suites are not spoken by this server and are left out",
    );
    let curves = options
        .tls
        .as_ref()
        .map_or(&[][..], |tls| &tls.curve_preferences);
    f.add_if(
        curves.iter().any(|name| !tls::is_spoken_curve(name)),
        &["tls.curve_preferences"],
        "some curve_preferences are not spoken by this server and are left out",
    );
    findings.errors
}

fn has_plain_password(options: &Options) -> bool {
    let is_plain = |text: &str| !text.is_empty() && !is_bcrypt(text);
    let authorization = &options.authorization;
    let single = [&authorization.password, &authorization.token];
    single
        .into_iter()
        .flatten()
        .any(|secret| is_plain(secret.expose()))
        || users(options).any(|user| match &user.login {
            Login::Password { password, .. } => is_plain(password),
            Login::Nkey(_) => false,
        })
}

/// `$2a$10$…` and its relatives.
fn is_bcrypt(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', c1, c2, b'$', ..]
        if c1.is_ascii_digit() && c2.is_ascii_digit())
}
