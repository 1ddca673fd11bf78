//! `authorization {}` and `no_auth_user`: who may connect when no accounts are needed.

use std::time::Duration;

use super::key::{Key, Reload::*, key};
use super::public_key::KeyKind;
use super::reader::{Item, Reader};
use super::secret::Secret;
use super::users;
use crate::account;
use crate::auth::permissions::PermissionsSpec;
use crate::auth::users::UserSpec;

/// Who may connect to the client listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authorization {
    /// The single user's name. Default: none.
    pub user: Option<String>,
    /// The single user's password, plain or bcrypt.
    pub password: Option<Secret>,
    /// The single token, plain or bcrypt. Default: none.
    pub token: Option<Secret>,
    /// Time a client has to log in. Default: `None`, 2 seconds, or with TLS the handshake
    /// timeout and 1 second.
    pub timeout: Option<Duration>,
    /// Users of account `$G`. Default: none.
    pub users: Vec<UserSpec>,
    /// Permissions of users that have none. Default: everything is allowed.
    pub default_permissions: Option<PermissionsSpec>,
    /// A service that decides. Default: none.
    pub auth_callout: Option<AuthCallout>,
    /// Only connections through a trusted proxy. Default false.
    pub proxy_required: bool,
    /// The user of clients that present nothing. Default: none.
    pub no_auth_user: Option<String>,
}

/// A service that decides who a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthCallout {
    /// Public account key that signs answers.
    pub issuer: String,
    /// Account of the service. Default `$G`.
    pub account: String,
    /// Users that are not asked about: the service itself.
    pub auth_users: Vec<String>,
    /// Public curve key of the service; requests are then sealed. Default: none.
    pub xkey: Option<String>,
    /// Accounts clients may be put in. Default: all.
    pub allowed_accounts: Vec<String>,
}

/// The login of another listener or of links: `authorization {}` inside of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkAuthorization {
    /// The user's name. Default: none.
    pub user: Option<String>,
    /// The user's password, plain or bcrypt.
    pub password: Option<Secret>,
    /// A token (websocket and mqtt). Default: none.
    pub token: Option<Secret>,
    /// Time the peer has to log in. Default: as for clients.
    pub timeout: Option<Duration>,
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Authorization>] = &[
    key("user|username", "string", "none", Yes, "joe",
        "The single user's name.",
        |a, v, r| r.text(v, &mut a.user)),
    key("password|pass", "string", "none", Yes, "s3cr3t",
        "The single user's password, plain or bcrypt.",
        |a, v, r| r.secret(v, &mut a.password)),
    key("token", "string", "none", Yes, "s3cr3t",
        "The single token, plain or bcrypt.",
        |a, v, r| r.secret(v, &mut a.token)),
    key("timeout", "seconds or duration", "2s; with TLS its timeout + 1s", Yes, "5",
        "Time a client has to log in.",
        |a, v, r| r.seconds(v, &mut a.timeout)),
    key("users", "array of users", "none", Yes, "[ { user: joe, password: s3cr3t } ]",
        "Users of account `$G`.",
        |a, v, r| r.users(v, account::GLOBAL, &mut a.users)),
    key("default_permissions|default_permission|permissions", "permissions", "everything", Yes,
        "{ publish: foo }",
        "Permissions of users that have none.",
        |a, v, r| r.permissions(v, &mut a.default_permissions)),
    key("auth_callout|auth_hook", "map", "none", No,
        "{ issuer: ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA, auth_users: [auth] }",
        "A service that decides who a client is. Not in this release.",
        |a, v, r| auth_callout(v, r, &mut a.auth_callout)),
    key("proxy_required", "boolean", "false", No, "true",
        "Only connections through a trusted proxy. Not in this release.",
        |a, v, r| r.flag(v, &mut a.proxy_required)),
];

#[rustfmt::skip]
pub(super) const TOP_KEYS: &[Key<Authorization>] = &[
    key("authorization", "map", "everybody may connect", Part, "{ token: s3cr3t }",
        "Who may connect.",
        |a, v, r| authorization(v, r, a)),
    key("no_auth_user", "string", "none", Part, "guest",
        "The user of clients that present nothing.",
        |a, v, r| r.text(v, &mut a.no_auth_user)),
];

#[rustfmt::skip]
pub(super) const CALLOUT_KEYS: &[Key<AuthCallout>] = &[
    key("issuer", "public account key", "needed", No,
        "ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA",
        "Signs the answers of the service.",
        |c, v, r| issuer(v, r, &mut c.issuer)),
    key("account|acc", "string", "$G", No, "AUTH",
        "Account of the service.",
        |c, v, r| r.text(v, &mut c.account)),
    key("auth_users|users", "array of names", "needed", No, "[auth]",
        "Users that are not asked about: the service itself.",
        |c, v, r| r.texts(v, &mut c.auth_users)),
    key("xkey|key", "public curve key", "none", No,
        "XAB3NANV3M6N7AHSQP2U5FRWKKUT7EG2ZXXABV4XVXYQRJGM4S2CZGHT",
        "Seals requests to the service.",
        |c, v, r| xkey(v, r, &mut c.xkey)),
    key("allowed_accounts", "array of names", "all", No, "[APP]",
        "Accounts clients may be put in.",
        |c, v, r| r.texts(v, &mut c.allowed_accounts)),
];

#[rustfmt::skip]
pub(super) const LINK_KEYS: &[Key<LinkAuthorization>] = &[
    key("user|username", "string", "none", Yes, "joe",
        "The user's name.",
        |a, v, r| r.text(v, &mut a.user)),
    key("password|pass", "string", "none", Yes, "s3cr3t",
        "The user's password, plain or bcrypt.",
        |a, v, r| r.secret(v, &mut a.password)),
    key("token", "string", "none", Yes, "s3cr3t",
        "A token; `websocket` and `mqtt` only.",
        |a, v, r| r.secret(v, &mut a.token)),
    key("timeout", "seconds or duration", "as for clients", Yes, "5",
        "Time the peer has to log in.",
        |a, v, r| r.seconds(v, &mut a.timeout)),
];

impl Reader {
    /// `authorization` of the `websocket` and `mqtt` listeners.
    pub fn listener_authorization(&mut self, v: Item<'_>, into: &mut Option<LinkAuthorization>) {
        self.presence(v, into, LINK_KEYS);
    }

    /// `authorization` of routes or gateways (`who`): a single user and nothing else.
    pub fn mesh_authorization(
        &mut self,
        v: Item<'_>,
        into: &mut Option<LinkAuthorization>,
        permissions: &mut Option<PermissionsSpec>,
        who: &str,
    ) {
        let mut block = Authorization::default();
        if !self.block(v, &mut block, KEYS) {
            return;
        }
        for (wrong, message) in [
            (!block.users.is_empty(), "does not allow multiple users"),
            (block.token.is_some(), "does not support tokens"),
            (block.auth_callout.is_some(), "does not support callouts"),
        ] {
            if wrong {
                self.error(v, format!("{who} authorization {message}"));
            }
        }
        if block.proxy_required {
            self.warn(v, "proxy_required has no effect on links between servers");
        }
        if block.default_permissions.is_some() {
            self.warn(
                v,
                "invalid use of field \"authorization\": setting \"permissions\" within cluster \
                 authorization block is deprecated",
            );
            *permissions = block.default_permissions;
        }
        *into = Some(LinkAuthorization {
            user: block.user,
            password: block.password,
            token: None,
            timeout: block.timeout,
        });
    }
}

fn authorization(v: Item<'_>, r: &mut Reader, into: &mut Authorization) {
    let mut block = Authorization {
        no_auth_user: into.no_auth_user.take(),
        ..Authorization::default()
    };
    r.block(v, &mut block, KEYS);
    let single = block.user.is_some() || block.password.is_some();
    if single && block.token.is_some() {
        r.error(v, "Cannot have a user/pass and token");
    }
    if single && !block.users.is_empty() {
        r.error(v, "Can not have a single user/pass and a users array");
    }
    if block.token.is_some() && !block.users.is_empty() {
        r.error(v, "Can not have a token and a users array");
    }
    for name in users::duplicates(&block.users) {
        r.error(v, users::duplicate_message(name));
    }
    *into = block;
}

fn auth_callout(v: Item<'_>, r: &mut Reader, into: &mut Option<AuthCallout>) {
    let mut callout = AuthCallout {
        account: account::GLOBAL.to_owned(),
        ..AuthCallout::default()
    };
    if !r.block(v, &mut callout, CALLOUT_KEYS) {
        return;
    }
    if callout.issuer.is_empty() {
        r.error(
            v,
            "Authorization callouts require an issuer to be specified",
        );
    }
    if callout.auth_users.is_empty() {
        r.error(
            v,
            "Authorization callouts require authorized users to be specified",
        );
    }
    *into = Some(callout);
}

fn issuer(v: Item<'_>, r: &mut Reader, into: &mut String) {
    r.text(v, into);
    if KeyKind::of(into) != Some(KeyKind::Account) {
        r.error(
            v,
            format!("Expected callout user to be a valid public account nkey, got {into:?}"),
        );
    }
}

fn xkey(v: Item<'_>, r: &mut Reader, into: &mut Option<String>) {
    r.text(v, into);
    let text = into.as_deref().unwrap_or_default();
    if KeyKind::of(text) != Some(KeyKind::Curve) {
        r.error(
            v,
            format!("Expected callout xkey to be a valid public xkey, got {text:?}"),
        );
    }
}
